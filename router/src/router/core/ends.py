"""How jobs end that have no result: the codes that the Router itself gives. All others come from an agent."""

from dataclasses import dataclass

from router.core.jobs import State


@dataclass(frozen=True, slots=True)
class End:
    """A code of the Router's own, the state that it stands for, and what its submitter can do."""

    code: str
    state: State
    meaning: str
    remedy: str


ENDS = (
    End(
        "job.expired",
        "timed_out",
        "No agent accepted the job before its latest start.",
        "See whether an agent of the pool is online; sign a new job with a later `expires`.",
    ),
    End(
        "job.overdue",
        "timed_out",
        "An agent took the job, and no result came by its latest delivery.",
        "Ask the agent's operator; a job that is not idempotent may have run.",
    ),
    End(
        "job.lost",
        "dead",
        "The agent that ran the job went silent, and the job may not run again.",
        "A result that still comes counts. Else sign a new job, idempotent with several attempts where that is right.",
    ),
    End("job.cancelled", "cancelled", "The job was cancelled before it had a result.", "Nothing is left to do."),
)
