"""What can be wrong, in sentences for the operator: what is the matter, what the agent does meanwhile, and the fix.

A sentence never holds a data value, a statement or a secret: only folders, counts, codes and the agent's own texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.core.codes import Code
from agent.core.job import Me

CRASHES_IN_A_ROW = 3
"""From so many jobs that died one after the other on, jobs are taken slowly."""


SKEW_NOTED_SECONDS = 30.0
SKEW_BAD_SECONDS = 240.0
"""Clocks that are further apart from each other than the first are a note, than the second a fault."""

NO_LANDLOCK = "the kernel offers no Landlock"


@dataclass(frozen=True, slots=True)
class Health:
    """One finding. `blocks`: no new job is taken while it lasts. A `note` is advice and does not degrade the agent."""

    sentence: str
    fix: str
    blocks: bool = False
    note: bool = False

    def line(self) -> str:
        """The line that `agent status` shows."""
        return f"{self.sentence} Fix: {self.fix}" if self.fix else self.sentence


def no_submitter(trust: Path) -> Health:
    """trust.json is there and names nobody but the agent itself."""
    return Health(
        f"No submitter is trusted yet ({trust}), so every job is rejected.",
        "add the submitter's public keys with `agent trust add`.",
        note=True,
    )


def trust_unreadable(trust: Path, problem: str) -> Health:
    """trust.json cannot be used: who may ask is not known, so nobody may."""
    return Health(
        f"The trust file {trust} cannot be used ({_bare(problem)}); no job is taken until it can.",
        "repair the file, or make it readable for the agent's account; it is read again by itself.",
        blocks=True,
    )


def drained() -> Health:
    """The operator of this machine drained the agent."""
    return Health(
        "By order of `agent drain` no new job is taken; what runs goes on.",
        "`agent resume` takes jobs again, and so does a restart.",
        blocks=True,
        note=True,
    )


def slots_full(lane: str, slots: int) -> Health:
    """Every slot of a lane is taken: new jobs of it wait."""
    taken = "the one slot is" if slots == 1 else f"all {slots} slots are"
    return Health(
        f"For {lane} jobs {taken} taken, so new ones wait.",
        f"`agent jobs list` shows what runs and `agent jobs cancel` ends one; agent.slots.{lane} raises their number.",
        note=True,
    )


def trouble(code: Code, count: int, me: Me) -> Health:
    """Jobs or envelopes that ended with a code that somebody at this site can do something about."""
    what = "1 envelope was" if count == 1 else f"{count} envelopes were"
    ended = f"{what} rejected" if code.outcome == "rejected" else f"{what.replace('envelope', 'job')} {code.outcome}"
    ended = ended.replace("were failed", "failed").replace("was failed", "failed")
    whom = ""
    if code.name in {"envelope.audience", "envelope.tenant"}:
        whom = f" This agent is {me.agent} in pool {me.pool} of tenant {me.tenant} (agent.name, agent.pool, tenant)."
    return Health(f"{ended} with {code.name}: {code.meaning}{whom}", code.remedy, note=True)


def restart_needed(keys: Sequence[str]) -> Health:
    """The configuration was taken, but some of what changed counts only from the next start."""
    return Health(
        f"The configuration was read again, but what changed in {', '.join(keys)} counts from the next start only.",
        "restart the agent; it finishes what runs first.",
        note=True,
    )


def not_enrolled() -> Health:
    """A network agent without a certificate."""
    return Health(
        "This agent is not enrolled at its Router yet, so no job can reach it.",
        "have a one-time token made (`router token create --tenant TENANT --pool POOL`), and run "
        "`agent enroll --token-file FILE` here, with --ca-file where the Router has a CA of its own.",
        note=True,
    )


def drain_asked() -> Health:
    """The Router's operator drained this agent."""
    return Health(
        "The Router asked this agent to take no new jobs.", "undrain it at the Router, or restart the agent.", note=True
    )


def clock_skewed(seconds: float) -> Health:
    """The far side's clock against this one. Beyond 4 minutes envelopes are close to being judged too early or late."""
    way = "behind" if seconds > 0 else "ahead of"
    return Health(
        f"This machine's clock is {abs(seconds):.0f} s {way} the Router's. Jobs are judged by this machine's clock "
        "alone, give or take 5 minutes.",
        "check the time service (NTP) here and at the Router.",
        note=abs(seconds) < SKEW_BAD_SECONDS,
    )


def spool_full(held: int, cap: int) -> Health:
    """No room for another result. Both figures in bytes."""
    return Health(
        f"The spool has no room for another result ({_mib(held)} held of at most {_mib(cap)}, or the disk is full); "
        "no job is taken until there is, and nothing held is lost.",
        "free disk space under state_dir, and see that results can be delivered.",
        blocks=True,
    )


def spool_unwritable(problem: str) -> Health:
    """A write to the spool or the ledger failed and is being repeated."""
    return Health(
        f"The spool cannot be written ({_bare(problem)}); results wait in memory and are written as soon as it can, "
        "and no job is taken until then.",
        "free disk space, and make state_dir writable for the agent's account.",
        blocks=True,
    )


def audit_unwritable(problem: str) -> Health:
    """No audit write, no job."""
    return Health(
        f"The audit log cannot be written ({_bare(problem)}); no job is taken and no finished job is released until "
        "it can.",
        "free disk space, make the audit folder writable for the agent's account, and run `agent audit verify`.",
        blocks=True,
    )


def transport_failing(problem: str) -> Health:
    """New jobs cannot be picked up."""
    return Health(
        f"New jobs cannot be picked up: {_bare(problem)}.",
        f"{_cure(problem) or 'put the named cause right'}; the agent goes on trying by itself.",
    )


def as_said(sentence: str) -> Health:
    """What a port reports in a sentence of its own, with its fix in it."""
    return Health(sentence, "")


def undelivered(count: int, problem: str) -> Health:
    """Results that were tried and could not be handed over."""
    what = "1 result waits" if count == 1 else f"{count} results wait"
    return Health(
        f"{what} because delivery fails: {_bare(problem)}. Each is kept and tried again until its result_until.",
        f"{_cure(problem) or 'put the named cause right'}; delivery resumes by itself.",
    )


def dropped(count: int) -> Health:
    """Results whose time ran out before they could be delivered."""
    what = "1 result was" if count == 1 else f"{count} results were"
    return Health(
        f"{what} dropped since the start because result_until passed before delivery succeeded.",
        "have those jobs sent again with a later result_until; their ids stand in the audit log as result.dropped.",
    )


def unsettled(problem: str) -> Health:
    """A rejection or a settled job could not be filed away by the transport."""
    return Health(
        f"Handled jobs cannot be filed away: {_bare(problem)}. They are kept where they are and tried again.",
        "put the named cause right; the agent goes on by itself.",
    )


def workers_dying(count: int) -> Health:
    """Several jobs in a row ended with worker.crashed."""
    return Health(
        f"The last {count} jobs ended because their worker process died; jobs are now taken one at a time and "
        "slowly, until one ends properly.",
        "check memory and the kernel log for killed processes; restart the agent if it goes on.",
    )


def worker_server_down(problem: str) -> Health:
    """The warm server that forks workers cannot be started."""
    return Health(
        f"Worker processes cannot be started ({_bare(problem)}); no job is taken until they can.",
        "check memory, process limits and the installation; the agent tries again by itself.",
        blocks=True,
    )


def source_unresolved(problem: str) -> Health:
    """A secret of a source or of the policy could not be read when a job needed it."""
    return Health(
        f"A job could not be run because a secret cannot be read ({_bare(problem)}).",
        "run `agent config check --connect`; the secret is read again for the next job.",
    )


def isolation_missing() -> Health:
    """Workers refuse to run without Landlock."""
    return Health(
        f"Jobs cannot be isolated on this machine ({NO_LANDLOCK}), so every job fails with worker.isolation.",
        "run on a kernel with Landlock (Linux 5.13 or newer), and allow its calls in the container's seccomp profile.",
    )


def no_sandbox(problem: str, found: str, fix: str) -> Health:
    """Python jobs cannot be run. `found` and `fix` are the sandbox server's own reason, if it has one."""
    why = f"{_bare(problem)}: {_bare(found)}" if found else _bare(problem)
    return Health(
        f"Python jobs cannot be isolated ({why}), so each of them fails with sandbox.isolation; other jobs run.",
        f"{_first(fix)}`agent doctor sandbox` shows every layer. Where no Python is wanted: python.enabled: false.",
    )


def container_tier(found: str, fix: str) -> Health:
    """Python jobs run under the lesser of the two tiers, which the site allows."""
    return Health(
        f"Python jobs run in the sandbox tier `container`, not `full`{f' ({_bare(found)})' if found else ''}.",
        f"{_first(fix)}`agent doctor sandbox` shows every layer. Where this tier is meant, nothing needs to be done.",
        note=True,
    )


def _first(fix: str) -> str:
    return f"{_one_line(fix)}; " if fix else ""


def clock_jumped(seconds: float) -> Health:
    """The wall clock moved against the monotonic one."""
    way = "forward" if seconds > 0 else "back"
    return Health(
        f"The system clock jumped {way} by {abs(seconds):.0f} s. Jobs are judged by the new time; for one hour no "
        "result is dropped and no claim is forgotten because of its age.",
        "check the machine's time service (NTP); jobs that were rejected meanwhile have to be sent again.",
    )


def disk_low(folder: Path, free: int) -> Health:
    """Little space left, but still enough to run. `free` in bytes."""
    return Health(f"The disk of {folder} has only {_mib(free)} left.", "free disk space before it fills up.")


def reload_failed(problem: str) -> Health:
    """SIGHUP with a configuration that does not hold."""
    return Health(
        f"The changed configuration was not taken: {_one_line(problem)}. The last good one stays in force.",
        "correct it, check it with `agent config check`, and send SIGHUP again.",
    )


def duty_failed(name: str, problem: str) -> Health:
    """A timed duty broke."""
    return Health(f"The duty '{name}' fails ({_bare(problem)}).", "it is tried again by itself; report it if it stays.")


def loop_failed(name: str, problem: str) -> Health:
    """A loop met a defect of its own and goes on."""
    return Health(f"The loop '{name}' met a defect ({_bare(problem)}) and goes on.", "report it.")


def job_held(problem: str) -> Health:
    """A job met a defect before it could be claimed or finished: its file is kept."""
    return Health(
        f"A job could not be finished because of a defect of the agent ({_bare(problem)}); it is kept, and the next "
        "start decides it.",
        "report it, and restart the agent.",
    )


def socket_down(problem: str) -> Health:
    """The status socket cannot be made."""
    return Health(
        f"The status socket cannot be made ({_bare(problem)}); `agent status` reads status.json instead.",
        "make state_dir writable for the agent's account.",
    )


def _mib(size: int) -> str:
    return f"{size / 1_048_576:.0f} MiB"


def _bare(problem: str) -> str:
    """A port's own sentence as part of another one: on one line, without its remedy and its full stop."""
    return _one_line(problem.partition(" Fix: ")[0])


def _cure(problem: str) -> str:
    """The remedy that a port names with its sentence, without its full stop; empty when it names none."""
    return _one_line(problem.partition(" Fix: ")[2])


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
