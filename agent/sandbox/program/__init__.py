"""A program's life inside the jail: read, checked again, run, its result given. `warm` prepares the server for it."""

from agent.sandbox.program.life import run
from agent.sandbox.program.preload import DEFAULT, warm

__all__ = ["DEFAULT", "run", "warm"]
