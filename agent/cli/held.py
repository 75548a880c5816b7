"""`agent jobs`: what the ledger holds, what runs now, what the audit log says of one job; and its end."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import Config, Json

if TYPE_CHECKING:
    from agent.spool.ledger import Entry

app = typer.Typer(help="The jobs of this agent: list them, show one, end one.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="The job's id.")]

_STATES = {
    "claimed": "interrupted",
    "sealed": "waits for delivery",
    "delivered": "delivered",
    "failed": "given up",
}
"""How a job's state in the ledger is called; a claimed one that is under way is called by its phase."""

_TOLD = (
    *("attempt", "kid", "user", "roles", "purpose", "kind", "source", "sources", "policy_version", "isolation"),
    *("outcome", "code", "rows", "bytes", "truncated", "seconds", "engine_seconds", "rerun", "ref"),
)
"""What is shown of an audit record: who, where, how it went. Not the statement."""


@app.command("list")
def list_(
    *,
    config: Config = None,
    running: Annotated[bool, typer.Option("--running", help="Only those that run now.")] = False,
    most: Annotated[int, typer.Option(help="At most so many, the last changed first.", min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """Jobs that were claimed here, the last changed first. Works also when the agent does not run."""
    from agent.cli.render import put, put_json, put_table
    from agent.spool.ledger import look

    folder, phases = _folder(config), _phases(config)
    found = [_line(entry, phases) for entry in (look(_ledger(folder), most=most) if _ledger(folder).exists() else ())]
    found = [line for line in found if not running or line["running"]]
    if as_json:
        put_json({"jobs": found})
    elif not found:
        put("no jobs" if not running else "nothing runs")
    else:
        put_table(
            ["id", "state", "attempts", "outcome", "changed"],
            [[line[name] for name in ("id", "state", "attempts", "outcome", "changed")] for line in found],
        )


@app.command("show")
def show(job: Id, *, config: Config = None, as_json: Json = False) -> int:
    """One job: where it stands, and what the audit log says of it. Exit 1 when it is not known here."""
    from agent.audit.find import about
    from agent.cli.exits import FAILURE, complain
    from agent.cli.render import put, put_json, put_pairs
    from agent.cli.site import settings
    from agent.spool.ledger import look

    loaded, ledger = settings(config), _ledger(_folder(config))
    entries = look(ledger, job_id=job) if ledger.exists() else ()
    records = list(about(loaded.audit.path, job)) if loaded.audit.path.is_dir() else []
    if not entries and not records:
        complain(f"agent: no job {job} is known here. Fix: `agent jobs list` shows those that are.")
        return FAILURE
    line = _line(entries[0], _phases(config)) if entries else None
    told = [
        {"seq": one.get("seq"), "time": one.get("time"), "event": one.get("event"), **_told(one)} for one in records
    ]
    if as_json:
        put_json({"job": line, "audit": told})
        return 0
    put_pairs({"id": job, **({"state": "never claimed"} if line is None else line)})
    for record in told:
        put()
        put_pairs(record)
    return 0


@app.command("cancel")
def cancel(job: Id, *, config: Config = None) -> int:
    """End a job that runs here: its submitter gets the result job.cancelled. Exit 1 when it does not run here."""
    from agent.cli.exits import FAILURE, USAGE, complain
    from agent.cli.render import put
    from agent.service.orders import CANCEL
    from agent.service.statusclient import ask
    from agent.wire.ids import is_ulid

    if not is_ulid(job):
        complain("agent: this is no job's id: 26 capital letters and digits. Fix: `agent jobs list` shows them.")
        return USAGE
    if ask(_folder(config), request=CANCEL + job.encode()).get("done") is True:
        put(f"{job} is being ended; its result will say job.cancelled.")
        return 0
    complain(
        f"agent: {job} does not run here. Fix: `agent jobs show {job}` says where it stands; "
        "one that waits is withdrawn where it was handed in."
    )
    return FAILURE


def _folder(config: Path | None) -> Path:
    from agent.settings.locate import state_dir

    return state_dir(config, os.environ)


def _ledger(folder: Path) -> Path:
    return folder / "ledger.sqlite"


def _phases(config: Path | None) -> dict[str, str]:
    """What runs now, by the carrier's name for it; nothing when the agent does not answer."""
    from agent.service.statusclient import NotRunningError, ask

    try:
        running = ask(_folder(config))["jobs"]["under_way"]
    except NotRunningError:
        return {}
    return {one["ref"]: one["phase"] for one in running}


def _line(entry: "Entry", phases: dict[str, str]) -> dict[str, Any]:
    running = entry.ref in phases and entry.state == "claimed"
    return {
        "id": entry.job_id,
        "state": phases[entry.ref] if running else _STATES[entry.state],
        "running": running,
        "attempts": entry.attempts,
        "outcome": entry.outcome or "",
        "result": entry.result_id or "",
        "changed": _time(entry.changed),
        "result_until": _time(entry.result_until),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _told(record: dict[str, Any]) -> dict[str, Any]:
    return {name: record[name] for name in _TOLD if record.get(name) not in (None, "", [])}
