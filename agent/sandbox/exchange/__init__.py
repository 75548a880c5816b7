"""What a worker and a program's process say to each other: a program and its inputs in, one answer out. Never pickle.

In: length-prefixed pieces, strict JSON and Arrow IPC. Out: one length-prefixed frame. What comes out was written by a
process that ran foreign code; `converse` believes nothing of it.
"""

from agent.core.problem import ProgramError
from agent.sandbox.exchange.child import read_inputs, read_program, write_answer
from agent.sandbox.exchange.talk import converse
from agent.sandbox.exchange.types import Answer, Caps, Input, Output, Printed, Program

__all__ = [
    "Answer",
    "Caps",
    "Input",
    "Output",
    "Printed",
    "Program",
    "ProgramError",
    "converse",
    "read_inputs",
    "read_program",
    "write_answer",
]
