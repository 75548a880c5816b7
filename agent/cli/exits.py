"""Exit codes, and exceptions -> one clear line on standard error and an exit code."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn

from agent.core.errors import AgentError, ConfigError

OK: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
NOT_RUNNING: Final = 3
DEGRADED: Final = 4
UNREACHABLE: Final = 69
PERMISSION: Final = 77
CONFIGURATION: Final = 78
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


def complain(text: str) -> None:
    """Lines for a person, on standard error."""
    sys.stderr.write(text.rstrip("\n") + "\n")


def complain_of(outcome: str, code: str, message: str, hint: str, problems: Iterable[Any] = ()) -> None:
    """Why a job was refused or failed, and where in its statement: `problems` as in `agent.core.problem.Problem`."""
    from agent.cli.render import safe

    complain(f"agent: {outcome}: {code}: {safe(message)}")
    if hint:
        complain(f"  {safe(hint)}")
    for number, problem in enumerate(problems):
        if problem.line is not None:
            place = f"  line {problem.line}" + (f", column {problem.column}" if problem.column is not None else "")
            about = f": {safe(problem.name)}" if problem.name else ""
            complain(place + about if number == 0 else f"{place}: {safe(problem.message)} {safe(problem.hint)}")


def guarded(program: Callable[[], int]) -> NoReturn:
    """Run the program and exit: every error that a user can cause is one clear text, never a traceback."""
    try:
        code = program()
        sys.stdout.flush()
    except ConfigError as error:
        complain(f"agent: {error}")
        code = CONFIGURATION
    except PermissionError as error:
        complain(f"agent: no permission: {error.filename}. Run as the agent's account, or as root.")
        code = PERMISSION
    except AgentError as error:
        complain(f"agent: {error}")
        code = exit_code(error)
    except KeyboardInterrupt:
        complain("agent: interrupted.")
        code = INTERRUPTED
    except BrokenPipeError:
        code = BROKEN_PIPE
        sys.stderr.close()
    sys.exit(code)


def exit_code(error: AgentError) -> int:
    """The exit code of an error by what it is called: the modules that define them load late."""
    known = {"NotRunningError": NOT_RUNNING, "NotAllowedError": PERMISSION}
    return known.get(type(error).__name__, FAILURE)
