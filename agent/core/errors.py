"""Error tree.

* AgentError
  + Refuse            the job must not run: becomes `Refused`, never retried
  + Fault             the job ran and broke: becomes `Failed`
  + TransportError    the carrier was not reached or not writable: retried by the service
  + SpoolError        the spool or the ledger cannot hold more, or is damaged
  + AuditError        the audit log cannot be written or does not verify: no job may run
  + ConfigError       the operator has to act: exit code 78

Messages of `Refuse` and `Fault` are fixed texts and names of the syntax or the schema. They hold no data
value, no identifier of a job and no time, so that equal causes read the same everywhere.
"""

from agent.core.problem import Problem


class AgentError(Exception):
    """Base of every error that this package raises on purpose."""


class _CodedError(AgentError):
    problems: tuple[Problem, ...] = ()

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        """Args: `code` from `agent.core.codes.CODES`; `message` says what; `hint` says what to do."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class Refuse(_CodedError):
    """The job must not run. `problems`, for a submitted text: what is wrong and where, this refusal first."""


class Fault(_CodedError):
    """The job ran and broke. `problems`, for a program: where it raised."""


class TransportError(AgentError):
    """The carrier could not take or give a message. The text names the folder or address and the remedy."""

    retry_after: float | None = None
    """Seconds that the other side asked to be left alone for."""


class SpoolError(AgentError):
    """Sealed results or claims cannot be stored."""


class AuditError(AgentError):
    """The audit log cannot be written, or its chain does not verify."""


class ConfigError(AgentError):
    """The operator has to act. `key` is the dotted name of the setting, `fix` what to write instead."""

    def __init__(self, key: str, problem: str, fix: str = "") -> None:
        """Args: the dotted key (or file), what is wrong with it (never its value), and the remedy."""
        super().__init__(f"{key}: {problem}" + (f" Fix: {fix}" if fix else ""))
        self.key = key
        self.problem = problem
        self.fix = fix
