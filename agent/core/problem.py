"""Where in a submitted text something is wrong, for people and for programs that write SQL."""

from dataclasses import dataclass

MOST = 3
"""How many problems of one statement are told at once."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a statement. `code`, `message` and `hint` as in `Refuse`.

    `name` is the function, relation, type or construct that it is about, as far as it has a name. `line` and `column`
    count from 1 in the submitted text, in characters; None where no place can be told.
    """

    code: str
    message: str
    hint: str = ""
    name: str = ""
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class ProgramError:
    """The exception that ended a program, without values of the data.

    `type` is the name of its class, `line` the last line of the program's own that it passed through, from 1; None
    where no line can be told.
    """

    type: str
    message: str
    line: int | None = None
