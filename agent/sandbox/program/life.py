"""From the first byte of a program to the last of its answer. Runs in a forked process that is in its jail already."""

import builtins
import io
import os
import signal
import sys
import types
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn

import numpy as np
import pyarrow as pa

from agent.core.errors import Refuse
from agent.core.problem import ProgramError
from agent.guard.python import Imports, admit, namespace, scrubbed
from agent.sandbox.exchange import read_inputs, read_program, write_answer
from agent.sandbox.exchange.pieces import CutError
from agent.sandbox.exchange.types import Answer, Program
from agent.sandbox.program import charts, inputs, results
from agent.sandbox.program.last import with_last
from agent.sandbox.program.refusal import ResultError
from agent.wire.errors import WireError

CUT: Final = 71
"""Exit status: the program or its inputs did not come whole."""
UNWRITTEN: Final = 72
"""Exit status: the answer could not be written."""

_RECURSION: Final = 1000
_BUILTINS: Final = dict(builtins.__dict__)
_exit = os._exit


def run(input_fd: int = 0, result_fd: int = 3) -> NoReturn:
    """Read a program and its inputs, run it, write its answer, and end the process. Prints go to descriptors 1 and 2.

    The exit status is 0 after a whole answer, also when that says that the program raised; else `CUT` or `UNWRITTEN`.
    """
    status = UNWRITTEN
    try:
        status = _live(input_fd, result_fd)
    finally:
        _exit(status)


def _live(input_fd: int, result_fd: int) -> int:
    try:
        program = read_program(input_fd)
        tables = read_inputs(input_fd, program.inputs)
    except (CutError, WireError, pa.ArrowException, KeyError, OSError):
        return CUT
    flush = _speak()
    np.random.seed()  # noqa: NPY002  programs use the global one; a fork's would be every job's
    answer = _answer(program, tables)
    _calm()
    flush()
    write_answer(result_fd, answer)
    return 0


def _speak() -> Callable[[], None]:
    """Fresh streams over descriptors 1 and 2. The returned function writes out what is still held."""
    streams = [
        io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(fd, "w", closefd=False)),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
        for fd in (1, 2)
    ]
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]

    def flush() -> None:
        for stream in streams:
            with suppress(OSError, ValueError):
                stream.flush()

    return flush


def _calm() -> None:
    """Undo what a program may have set that would hit the encoding of its result."""
    builtins.__dict__.update(_BUILTINS)
    sys.setrecursionlimit(_RECURSION)
    sys.settrace(None)
    sys.setprofile(None)
    with suppress(OSError, ValueError):
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(program: Program, tables: dict[str, Any]) -> Answer:
    known = {*tables, *program.variables, *(name for table in tables.values() for name in table.column_names)}
    error, world = _execute(program, tables, known)
    _calm()
    try:
        return results.give(world, program, error)
    except ResultError as refused:
        return Answer(code="python.result", error=ProgramError("", str(refused), None))
    except charts.TooManyError:
        return Answer(
            code="limit.output", error=ProgramError("", "There are more charts, or larger ones, than may leave.", None)
        )
    except BaseException as broken:  # noqa: BLE001  what a program left behind may raise anything when it is looked at
        told = scrubbed(broken, program.code, known)
        why = f"The result cannot be given back: reading it raised {told.type}."
        return Answer(code="python.result", error=ProgramError("", why, None))


def _execute(program: Program, tables: dict[str, Any], known: set[str]) -> tuple[ProgramError | None, dict[str, Any]]:
    """What the program raised, if it did, and the names that it left."""
    main = types.ModuleType("__main__")
    world = main.__dict__
    try:
        imports = Imports.default() if program.imports is None else Imports.of(program.imports)
        admitted = admit(with_last(program.code), imports)
        values = {**program.variables, **inputs.meet(tables, program.frames)}
        tables.clear()
        world.update(namespace(admitted, imports, values))
        sys.modules["__main__"] = main
        charts.silence()
        exec(admitted.code, world)  # noqa: S102  this is what the process is for
    except Refuse as refused:  # the worker refused it already, unless its list was another
        return ProgramError("Refused", refused.message, None), world
    except SystemExit as left:
        if left.code not in {None, 0}:
            return scrubbed(left, program.code, known), world
    except BaseException as raised:  # noqa: BLE001  whatever a program raises is its outcome
        return scrubbed(raised, program.code, known), world
    return None, world
