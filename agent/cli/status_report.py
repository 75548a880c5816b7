"""`agent status`: how the agent is, from itself or from the last status.json. Without typer: see `quick`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HEALTHY = frozenset({"online", "starting", "enrolling", "draining"})
_STALE_SECONDS = 15.0


def report(config: Path | None, *, as_json: bool, healthcheck: bool) -> int:
    """Print the status. Exit code 0 well, 3 not running, 4 degraded; a health check is 0 or 1 and prints nothing."""
    import time

    from agent.cli.render import put_json
    from agent.service.statusclient import read
    from agent.settings.locate import state_dir

    reading = read(state_dir(config, os.environ), now=time.time())
    code = _code(reading.status, live=reading.live, age=reading.age_seconds)
    if healthcheck:
        return 0 if code == 0 else 1
    if as_json:
        put_json({**reading.status, "live": reading.live, "age_seconds": round(reading.age_seconds, 1)})
    else:
        show(reading.status, live=reading.live, age=reading.age_seconds)
    return code


def _code(found: Mapping[str, Any], *, live: bool, age: float) -> int:
    from agent.cli.exits import DEGRADED, NOT_RUNNING, OK

    if not live and (age > _STALE_SECONDS or found.get("state") == "stopped" or not _alive(found.get("pid"))):
        return NOT_RUNNING
    return OK if found.get("state") in _HEALTHY else DEGRADED


def _alive(pid: object) -> bool:
    return isinstance(pid, int) and Path(f"/proc/{pid}").exists()


def show(found: Mapping[str, Any], *, live: bool, age: float) -> None:
    """For a person, on standard output."""
    from agent.cli.render import put, put_pairs, safe

    state = found.get("state", "unknown")
    put(
        f"{safe(found.get('agent', 'agent'))}: {state}"
        + ("" if live else f" (not answering; status of {age:.0f} s ago)")
    )
    for sentence in found.get("health", ()):
        put(f"  ! {safe(_sentence(sentence))}")
    jobs, spool, policy = (found.get(part) or {} for part in ("jobs", "spool", "policy"))
    put_pairs(
        {
            "version": f"{found.get('version')}, pid {found.get('pid')}, up {_duration(found.get('uptime_seconds'))}",
            "mode": f"{found.get('mode')}, tenant {found.get('tenant')}",
            "jobs": ", ".join(f"{name} {value}" for name, value in jobs.items() if not isinstance(value, (dict, list))),
            "slots": ", ".join(_lane(name, jobs[name]) for name in ("sql", "python") if name in jobs),
            "spool": ", ".join(f"{name} {value}" for name, value in spool.items() if value is not None),
            "policy": f"version {policy.get('version')}, sha256 {str(policy.get('sha256'))[:16]}",
            "isolation": _isolation(found.get("isolation")),
            "sandbox": _sandbox((found.get("isolation") or {}).get("python")),
        }
    )
    for source in found.get("sources", ()):
        ok = {True: "ok", False: "failing", None: "not asked yet"}[source.get("ok")]
        put(f"source {safe(source.get('name'))}: {source.get('type')}, {ok}")


def _sentence(item: object) -> str:
    return " ".join(str(part) for part in item.values()) if isinstance(item, Mapping) else str(item)


def _lane(name: str, lane: Mapping[str, Any]) -> str:
    return f"{name} {lane['running']} of {lane['slots']}"


def _sandbox(value: Mapping[str, Any] | None) -> str:
    if not value or value["state"] == "off":
        return "off"
    tier = f"tier {value['tier'] or '?'}, at least {value['min_tier']}, {value['state']}"
    return f"{tier}; running {value['running']}, waiting {value['waiting']}"


def _isolation(value: object) -> str:
    return (
        ", ".join(f"{name} {part}" for name, part in value.items() if part and not isinstance(part, (dict, list)))
        if isinstance(value, Mapping)
        else str(value)
    )


def _duration(seconds: object) -> str:
    if not isinstance(seconds, (int, float)):
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
