"""`agent status`: how the agent is, from itself or from the last status.json. Without typer: see `quick`."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ANSWER_SECONDS: Final = 0.15
"""How long the agent is waited for before status.json is shown: an answer takes a few milliseconds."""
STALE_SECONDS: Final = 15.0
_HEALTHY = frozenset({"online", "starting", "enrolling", "draining"})


def report(config: Path | None, *, as_json: bool, healthcheck: bool) -> int:
    """Print the status. Exit code 0 well, 3 not running, 4 degraded; a health check is 0 or 1 and prints nothing."""
    import time

    from agent.cli.render import put_json
    from agent.service.statusclient import NotRunningError, read
    from agent.settings.locate import state_dir

    try:
        reading = read(state_dir(config, os.environ), now=time.time(), timeout_seconds=ANSWER_SECONDS)
    except NotRunningError:
        if healthcheck:
            return 1
        raise
    found = seen(reading.status, live=reading.live, age=reading.age_seconds)
    code = _code(found, live=reading.live, age=reading.age_seconds)
    if healthcheck:
        return 0 if code == 0 else 1
    if as_json:
        put_json({**found, "live": reading.live, "age_seconds": round(reading.age_seconds, 1)})
    else:
        show(found, live=reading.live, age=reading.age_seconds)
    return code


def seen(found: Mapping[str, Any], *, live: bool, age: float) -> Mapping[str, Any]:
    """The document, with what only the one who looks at it can know: that the agent hangs, or is gone."""
    from agent.service.lasted import lives

    if live or found.get("state") == "stopped":
        return found
    pid, health = found.get("pid"), tuple(found.get("health", ()))
    if not lives(pid, age):
        gone = f"Process {pid} is gone without a word. Fix: `agent run` starts it; `agent logs` shows its last lines."
        return {**found, "health": (gone, *health)}
    if age <= STALE_SECONDS:
        return found
    hangs = (
        f"Process {pid} runs, but has not answered for {age:.0f} s; this is its last word. Fix: wait while the machine "
        "is overloaded; else restart it: what is durable survives."
    )
    return {**found, "health": (hangs, *health)}


def _code(found: Mapping[str, Any], *, live: bool, age: float) -> int:
    from agent.cli.exits import DEGRADED, NOT_RUNNING, OK
    from agent.service.lasted import lives

    if not live and (found.get("state") == "stopped" or not lives(found.get("pid"), age)):
        return NOT_RUNNING
    return OK if found.get("state") in _HEALTHY and (live or age <= STALE_SECONDS) else DEGRADED


def show(found: Mapping[str, Any], *, live: bool, age: float) -> None:
    """For a person, on standard output."""
    from agent.cli.render import put, put_pairs, safe

    state = safe(found.get("state", "unknown"))
    put(
        f"{safe(found.get('agent', 'agent'))}: {state}"
        + ("" if live else f" (not answering; status of {age:.0f} s ago)")
    )
    for sentence in found.get("health", ()):
        put(f"  ! {safe(sentence)}")
    put_pairs(dict(_pairs(found)))
    for source in found.get("sources", ()):
        put(f"source {safe(source.get('name'))}: {safe(_source(source))}")


def _pairs(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    parts = ("jobs", "spool", "policy", "config", "audit", "limits", "isolation")
    jobs, spool, policy, config, audit, limits, isolation = (found.get(part) or {} for part in parts)
    yield "version", f"{found.get('version')}, pid {found.get('pid')}, up {duration(found.get('uptime_seconds'))}"
    yield "mode", f"{found.get('mode')}, tenant {found.get('tenant')}, pool {found.get('pool')}"
    yield "agent id", str(found.get("agent_id"))
    yield "platform", _platform(found.get("platform") or {})
    if certificate := found.get("certificate"):
        yield "certificate", _certificate(certificate)
    yield "config", f"{config.get('path')}, sha256 {_short(config)}, loaded {config.get('loaded')}"
    yield "policy", f"version {policy.get('version')}, sha256 {_short(policy)}"
    yield "jobs", _counts(jobs)
    yield "slots", ", ".join(_lane(name, jobs[name]) for name in ("sql", "python") if name in jobs)
    yield "isolation", _isolation(isolation)
    yield "sandbox", _sandbox(isolation.get("python"))
    yield "audit", f"record {audit.get('last_seq')}, chain {_ok(audit.get('chain_ok'))}"
    yield "spool", ", ".join(f"{name} {value}" for name, value in spool.items() if value is not None)
    yield "limits", ", ".join(f"{name} {value}" for name, value in limits.items())


def _short(part: Mapping[str, Any]) -> str:
    return str(part.get("sha256"))[:16]


def _ok(value: object) -> str:
    return "not looked at yet" if value is None else "ok" if value else "NOT OK"


def _platform(found: Mapping[str, Any]) -> str:
    said = [f"{found.get('kind')} {found.get('url')}", f"last ok {found.get('last_ok')}"]
    if (latency := found.get("latency_seconds")) is not None:
        said.append(f"{1000 * latency:.0f} ms")
    if (skew := found.get("clock_skew_seconds")) is not None:
        said.append(f"clock {skew:+.0f} s")
    if found.get("last_error_at"):
        said.append(f"last error {found.get('last_error_at')}")
    return ", ".join(said)


def _certificate(found: Mapping[str, Any]) -> str:
    state = "valid" if found.get("valid") else "NOT VALID"
    renews = f", renews {found['renews']}" if found.get("renews") else ""
    names = f"{found.get('subject')}, serial {found.get('serial')}"
    return f"{state}, {found.get('days_left')} days left, ends {found.get('ends')}{renews}; {names}"


def _counts(jobs: Mapping[str, Any]) -> str:
    said = [f"running {jobs.get('running')}"]
    said += [f"{name} {jobs.get(f'{name}_24h')}" for name in ("done", "refused", "failed", "rejected", "dropped")]
    queue = jobs.get("queue")
    waiting = "" if queue is None else f"; waiting {queue}" + (f" since {jobs['oldest']}" if jobs.get("oldest") else "")
    return ", ".join(said) + " in 24 h" + waiting


def _source(found: Mapping[str, Any]) -> str:
    ok = {True: "ok", False: "failing", None: "not asked yet"}[found.get("ok")]
    tested = f" {found['last_test']}" if found.get("last_test") else ""
    took = f", {1000 * found['latency_seconds']:.0f} ms" if found.get("latency_seconds") is not None else ""
    role = {True: ", opened read-only", False: ", its role may WRITE", None: ""}[found.get("read_only")]
    return f"{found.get('type')}, {ok}{tested}{took}{role}"


def _lane(name: str, lane: Mapping[str, Any]) -> str:
    return f"{name} {lane['running']} of {lane['slots']}"


def _sandbox(value: Mapping[str, Any] | None) -> str:
    if not value or value["state"] == "off":
        return "off"
    tier = f"tier {value['tier'] or '?'}, at least {value['min_tier']}, {value['state']}"
    return f"{tier}; running {value['running']}, waiting {value['waiting']}"


def _isolation(value: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {part}" for name, part in value.items() if part and not isinstance(part, (dict, list)))


def duration(seconds: object) -> str:
    """Seconds as a person says them."""
    if not isinstance(seconds, (int, float)):
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
