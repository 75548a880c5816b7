"""`router`: run a Task Router, and look after its agents, tokens and jobs."""

from router.cli.program import main

__all__ = ["main"]
