"""`agent submit`: sign a job and hand it to the agent's drop folder; with --wait, open its result."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import Charts, Config, FramesOption, Input, Json, Kind, Profile, Variable

if TYPE_CHECKING:
    from agent.identity.profile import Profile as Submitter

POLL_SECONDS = 0.05


def submit(
    task: Annotated[
        str | None, typer.Argument(help="A .sql or .py file, a task .json, or - for standard input.")
    ] = None,
    *,
    source: Annotated[str | None, typer.Option(help="Source to ask.")] = None,
    kind: Annotated[
        Kind, typer.Option(help="What to ask for: rows, a program, what a source holds, or what would run.")
    ] = "sql",
    relation: Annotated[
        list[str] | None, typer.Option(help="With --kind catalog: glob over schema.relation. Repeatable.")
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="name=value; JSON scalars keep their type. Repeatable.")
    ] = None,
    inputs: Input = None,
    variables: Variable = None,
    frames: FramesOption = None,
    chart_formats: Charts = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the result and open it.")] = False,
    role: Annotated[list[str] | None, typer.Option(help="Role to assert. Repeatable.")] = None,
    purpose: Annotated[str, typer.Option(help="Why; stands in the site's audit.")] = "",
    idempotent: Annotated[bool, typer.Option(help="May run again after a crash.")] = False,
    attempts: Annotated[int, typer.Option(help="How often an idempotent job may be tried.", min=1, max=100)] = 3,
    truncate: Annotated[bool, typer.Option(help="Cut a result at its limits instead of failing.")] = False,
    expires: Annotated[int, typer.Option(help="Seconds until the latest start.", min=1)] = 86_400,
    profile: Profile = None,
    config: Config = None,
    as_json: Json = False,
) -> int:
    """Sign a job and put it into the inbox. With --wait, print the opened result."""
    from agent.cli import jobs, tasks
    from agent.cli.programs import Options
    from agent.cli.render import put, put_json
    from agent.cli.site import profile as find_profile

    submitter = find_profile(profile, config)
    options = Options(inputs=inputs or (), variables=variables or (), frames=frames, charts=chart_formats or ())
    wanted = jobs.Wanted(
        task=tasks.wanted(kind, task, source, parameters=param or (), relations=relation or (), options=options),
        roles=tuple(role or ()),
        purpose=purpose,
        idempotent=idempotent,
        attempts=attempts if idempotent else 1,
        on_limit="truncate" if truncate else "fail",
        expires_seconds=expires,
    )
    job_id, envelope = jobs.signed(wanted, submitter)
    drop = _drop(submitter)
    path = _hand_over(drop, job_id, envelope)
    if wait:
        return _wait(drop, job_id, submitter, envelope, as_json=as_json)
    if as_json:
        put_json({"id": job_id, "job": str(path), "result": str(drop / "outbox" / "new" / f"{job_id}.mres")})
    else:
        put(f"{job_id}  submitted; open its result with: agent open {drop}/outbox/new/{job_id}.mres")
    return 0


def _drop(submitter: "Submitter") -> Path:
    from agent.core.errors import ConfigError

    if submitter.drop is None and submitter.model.router is not None:
        fix = f"Run `router submit … --profile {submitter.folder}`."
        raise ConfigError("drop", "the profile's jobs go over a Router.", fix)
    if submitter.drop is None:
        raise ConfigError("drop", "the profile names no drop folder.", "Set `drop` in profile.json.")
    return submitter.drop.resolve()


def _hand_over(drop: Path, job_id: str, envelope: bytes) -> Path:
    """Write to tmp, sync, rename into new, sync: the agent sees the whole job or nothing."""
    from agent.core.durable import sync_folder, write_synced
    from agent.core.errors import TransportError

    inbox = drop / "inbox"
    draft, final = inbox / "tmp" / f"{job_id}.mjob", inbox / "new" / f"{job_id}.mjob"
    try:
        write_synced(draft, envelope, mode=0o640)
        draft.rename(final)
        sync_folder(final.parent)
        sync_folder(draft.parent)
    except OSError as error:
        raise TransportError(
            f"{inbox} cannot take the job ({error.strerror}). Check the folder and the disk."
        ) from None
    return final


def _wait(drop: Path, job_id: str, submitter: "Submitter", envelope: bytes, *, as_json: bool) -> int:
    """Until the result or the reason is there. Ctrl-C leaves the job with the agent."""
    import time

    from agent.cli.exits import complain
    from agent.cli.open_ import opened, show
    from agent.wire.signing import job_digest

    result = drop / "outbox" / "new" / f"{job_id}.mres"
    reason = drop / "failed" / f"{job_id}.reason.json"
    try:
        with _spinner(f"waiting for {job_id}"):
            while not (result.exists() or reason.exists()):
                time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        complain(f"agent: stopped waiting; the job stays with the agent. Later: agent open {result}")
        raise
    if result.exists():
        found = opened(result, submitter.opening(), submitter.agents(), job_digest=job_digest(envelope))
        return show(found, "json" if as_json else "table")
    return _rejected(reason)


def _rejected(reason: Path) -> int:
    import json

    from agent.cli.exits import FAILURE, complain
    from agent.cli.render import safe

    said: dict[str, Any] = json.loads(reason.read_bytes())
    complain(f"agent: rejected: {safe(said.get('code'))}: {safe(said.get('message'))} {safe(said.get('hint', ''))}")
    return FAILURE


def _spinner(text: str) -> Any:
    import contextlib
    import sys

    if not sys.stderr.isatty():
        return contextlib.nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(text)
