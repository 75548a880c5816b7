"""`router submit` and `router result`: jobs and results over a Router, with the keys of a profile."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Profile = Annotated[Path, typer.Option("--profile", envvar="MERIDYEN_PROFILE", help="The submitter's folder.")]


def submit(
    task: Annotated[Path, typer.Argument(help="A .sql, .py or task .json file.")],
    *,
    profile: Profile,
    source: Annotated[str | None, typer.Option(help="Source of the statement, or of the inputs.")] = None,
    input_: Annotated[list[str] | None, typer.Option("--input", help="name=statement. Repeatable.")] = None,
    to: Annotated[str | None, typer.Option(help="pool:NAME or agent:NAME, instead of the profile's.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait and print the result.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Sign a task, send it, and wait for its result. Ctrl-C cancels the job."""
    from router.cli.render import put
    from router.client import Client, Terms

    with Client.from_profile(profile) as client:
        job = client.submit(_task(task, source, input_ or ()), Terms(to=to))
        if not wait:
            put(job.id)
            return
        try:
            for step in job.stream():
                _progress(step)
            _show(job.wait(), as_json=as_json)
        except KeyboardInterrupt:
            job.cancel()
            sys.stderr.write(f"\nrouter: job {job.id} was asked to end.\n")
            sys.exit(130)


def result(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    *,
    profile: Profile,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Wait for a job that was submitted earlier, and print its result."""
    from router.client import Client

    with Client.from_profile(profile) as client:
        _show(client.job(job).wait(), as_json=as_json)


def _task(path: Path, source: str | None, inputs: "list[str] | tuple[()]") -> dict[str, Any]:
    import json

    from router.client import tasks
    from router.client.errors import ConfigurationError

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError("task", f"{path} cannot be read ({error.strerror}).") from None
    if path.suffix == ".json":
        found: dict[str, Any] = json.loads(text)
        return found
    if path.suffix == ".py":
        named = dict(one.partition("=")[::2] for one in inputs)
        return tasks.python(text, inputs=named, source=source)
    if source is None:
        raise ConfigurationError("task.source", "The statement names no source.", "Add --source NAME.")
    return tasks.sql(text.strip(), source, None, "arrow")


def _progress(step: Any) -> None:
    if sys.stderr.isatty():
        about = f", about {step.rows} rows" if step.rows else ""
        sys.stderr.write(f"\r\x1b[K{step.state}{': ' + step.phase if step.phase else ''}{about}")
        if step.ended:
            sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _show(found: Any, *, as_json: bool) -> None:
    from router.cli.render import put, put_json, put_table

    rows = any(name.startswith("rows.") for name in found.members)
    if as_json:
        from agent.wire.frames import rows as plain

        columns, cells = plain(found.arrow()) if rows else ([], [])
        put_json({"columns": columns, "rows": cells, "value": found.value, "stdout": found.stdout})
        return
    if found.stdout:
        sys.stdout.write(found.stdout)
    if rows:
        put_table([name for name, _ in found.columns], [list(row.values()) for row in found.rows()])
    elif found.value is not None:
        put_json(found.value)
    if found.charts:
        put(f"{len(found.charts)} charts: use the client library or `agent open` to save them.")
