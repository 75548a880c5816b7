"""Board, figures and site -> the status document; written atomically beside the socket that answers with the same."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from agent.core.codes import CODES
from agent.core.lane import LANES, Lane
from agent.core.limits import Limits
from agent.core.ports import LinkView
from agent.identity.certificate import Life
from agent.service import health
from agent.service.board import Board, Contact, Trouble
from agent.service.health import NO_LANDLOCK, Health
from agent.service.record import Head
from agent.service.sandboxes import PythonSite, View
from agent.service.statusclient import STATUS_FILE
from agent.service.wiring import About, Site
from agent.spool.ledger import Counts

STATUS_MODE = 0o640
DAY_SECONDS = 86_400.0
HOUR_SECONDS = 3600.0
_MOST_NOTED = 5
_OF_THE_SITE = frozenset({"source", "policy", "sandbox", "worker", "internal", "spool"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What has to be read from disk for a status: in a thread, every two seconds, not for each caller."""

    counts: Counts = field(default_factory=Counts)
    queue: int | None = None
    queue_oldest: float | None = None
    spool_bytes: int = 0
    spool_results: int = 0
    spool_oldest: float | None = None
    disk_free: int | None = None
    certificate: Life | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The changing rest. Times are Unix seconds, `uptime` is monotonic seconds."""

    now: float
    started: float
    loaded: float
    uptime: float
    running: Mapping[Lane, int]
    slots: Mapping[Lane, int]
    isolation: str
    sandbox: View
    head: Head | None
    audit_sound: bool | None
    link: LinkView | None = None


def document(about: About, site: Site, board: Board, figures: Figures, moment: Moment) -> dict[str, object]:
    """The status as `agent status --json` shows it; every field stands in docs/operate/status.md."""
    return {
        "version": about.version,
        "agent": site.me.agent,
        "agent_id": about.result_key,
        "pool": site.me.pool,
        "tenant": site.me.tenant,
        "mode": about.mode,
        "pid": os.getpid(),
        "written": _time(moment.now),
        "started": _time(moment.started),
        "uptime_seconds": int(moment.uptime),
        "state": board.word().value,
        "health": [one.line() for one in (*board.findings.values(), *_noted(site, board, moment))],
        "taking_jobs": board.blocked() is None and board.word().value not in {"starting", "draining", "stopped"},
        "config": _config(site, board, moment),
        "loops": dict(sorted(board.phrases.items())),
        "platform": _platform(about, board.contact, moment.link),
        "certificate": _certificate(figures.certificate, moment.now, board.renews),
        "sources": _sources(site, board),
        "jobs": _jobs(figures, moment, board),
        "isolation": {
            "tier": moment.isolation,
            "why_not_higher": NO_LANDLOCK if "isolation" in board.findings else None,
            "python": _sandbox(moment.sandbox, site.python),
        },
        "policy": {"version": site.policy_version, "sha256": site.policy_sha256},
        "audit": {"last_seq": None if moment.head is None else moment.head.seq, "chain_ok": moment.audit_sound},
        "spool": {
            "bytes": figures.spool_bytes,
            "results": figures.spool_results,
            "oldest": _time(figures.spool_oldest),
            "disk_free_bytes": figures.disk_free,
        },
        "limits": _limits(site.limits),
    }


def encode(status: Mapping[str, object]) -> bytes:
    """The document as bytes."""
    return json.dumps(status, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def write(folder: Path, data: bytes) -> None:
    """Put the document in the place of `folder`/status.json, mode 0640: readers see the old or the new one.

    Not synced: a status is of no use after a power cut. Raises OSError.
    """
    fresh = folder / f".{STATUS_FILE}.tmp"
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, STATUS_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), STATUS_MODE)
            file.write(data)
        fresh.rename(folder / STATUS_FILE)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def disk_free(folder: Path) -> int | None:
    """Bytes that the agent's account may still write on the disk of `folder`; None when that cannot be told."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def _time(seconds: float | None) -> str | None:
    """ISO 8601, UTC, to the second."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _noted(site: Site, board: Board, moment: Moment) -> list[Health]:
    """What is no fault of the agent, and may yet be why a job does not run: full slots, codes of the last hour."""
    full = [lane for lane in LANES if moment.running[lane] >= moment.slots[lane]]
    recent = [one for one in board.troubles.values() if moment.now - one.last < HOUR_SECONDS and _is_site_s(one.code)]
    return [
        *(health.slots_full(lane, moment.slots[lane]) for lane in full),
        *(health.trouble(CODES[one.code], one.count, site.me) for one in recent[-_MOST_NOTED:]),
    ]


def _is_site_s(code: str) -> bool:
    """Whether somebody at this site, and not only the job's author, can do something about a code."""
    return CODES[code].outcome == "rejected" or code.partition(".")[0] in _OF_THE_SITE


def _certificate(life: Life | None, now: float, renews: float | None) -> dict[str, object] | None:
    if life is None:
        return None
    return {
        "subject": life.subject,
        "serial": life.serial,
        "begins": _time(life.begins),
        "ends": _time(life.ends),
        "days_left": round((life.ends - now) / DAY_SECONDS, 1),
        "renews": _time(renews),
        "valid": life.begins <= now < life.ends,
    }


def _config(site: Site, board: Board, moment: Moment) -> dict[str, object]:
    rejected = board.findings.get("reload")
    return {
        "path": site.config_path,
        "sha256": site.config_sha256,
        "loaded": _time(moment.loaded),
        "rejected": None if rejected is None else rejected.line(),
    }


def _platform(about: About, contact: Contact, link: LinkView | None) -> dict[str, object]:
    link = link or LinkView()
    return {
        "kind": about.transport,
        "url": about.address,
        "last_ok": _time(contact.ok_at),
        "last_error": contact.error,
        "last_error_at": _time(contact.error_at),
        "session": link.session,
        "leases": link.leases,
        "latency_seconds": _rounded(link.latency_seconds, 3),
        "clock_skew_seconds": _rounded(link.skew_seconds, 0),
    }


def _rounded(seconds: float | None, digits: int) -> float | None:
    return None if seconds is None else round(seconds, digits)


def _sources(site: Site, board: Board) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for source in site.sources:
        seen = board.sources.get(source.name)
        found.append(
            {
                "name": source.name,
                "type": source.type,
                "ok": None if seen is None else seen.ok,
                "last_test": None if seen is None else _time(seen.at),
                "latency_seconds": None if seen is None or seen.seconds is None else round(seen.seconds, 3),
                "read_only": source.read_only,
            }
        )
    return found


def _jobs(figures: Figures, moment: Moment, board: Board) -> dict[str, object]:
    counts = figures.counts
    return {
        "running": sum(moment.running.values()),
        "slots": sum(moment.slots.values()),
        **{lane: {"running": moment.running[lane], "slots": moment.slots[lane]} for lane in LANES},
        "phases": dict(sorted(Counter(board.phases_of_jobs.values()).items())),
        "under_way": [{"ref": ref, "phase": phase} for ref, phase in sorted(board.phases_of_jobs.items())],
        "done_24h": counts.completed,
        "refused_24h": counts.refused,
        "failed_24h": counts.failed,
        "rejected_24h": counts.rejected,
        "dropped_24h": counts.undelivered,
        "queue": figures.queue,
        "oldest": _time(figures.queue_oldest),
        "troubles": [_trouble(one) for one in reversed(board.troubles.values())],
    }


def _trouble(one: Trouble) -> dict[str, object]:
    known = CODES[one.code]
    return {
        "code": one.code,
        "outcome": known.outcome,
        "count": one.count,
        "last": _time(one.last),
        "meaning": known.meaning,
        "fix": known.remedy,
    }


def _sandbox(view: View, python: PythonSite | None) -> dict[str, object]:
    return {
        "state": view.state,
        "tier": view.tier,
        "min_tier": None if python is None else python.min_tier,
        "outer": None if python is None else python.outer or None,
        "running": view.running,
        "waiting": view.waiting,
        "memory_mb": round(view.memory_mb),
        "memory_budget_mb": None if python is None else python.shape.memory_mb,
        "problem": view.problem or None,
        "reasons": [reason.model_dump() for reason in view.reasons if reason.level != "ok"],
    }


def _limits(limits: Limits) -> dict[str, object]:
    return asdict(limits)
