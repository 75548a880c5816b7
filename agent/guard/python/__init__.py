"""Python as people and models write it for an analysis -> a program that may run, or why not and what to write.

A policy with friendly errors, not the boundary: the kernel is. The only package that imports RestrictedPython.
"""

from agent.guard.python.admitting import FILE, Admitted, admit
from agent.guard.python.guards import nameable
from agent.guard.python.imports import Imports
from agent.guard.python.namespace import namespace
from agent.guard.python.scrub import rescrubbed, scrubbed

__all__ = ["FILE", "Admitted", "Imports", "admit", "nameable", "namespace", "rescrubbed", "scrubbed"]
