"""`router submit` and `router result`: jobs and results over a Router, with the keys of a profile."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from agent.cli.options import Charts, FramesOption, Input, Json, Kind, Variable

if TYPE_CHECKING:
    from agent.wire.sealing import Opened
    from router.client import Client, Job, Progress

Format = Literal["table", "json", "csv", "parquet", "arrow"]
Profile = Annotated[
    Path | None,
    typer.Option("--profile", envvar="MERIDYEN_PROFILE", help="The submitter's folder. Default: ./submitter."),
]
Print = Annotated[Format, typer.Option("--format", help="How to print it.")]
Output = Annotated[
    Path | None, typer.Option(help="Write here instead of standard output; of a program's result, a folder.")
]
ChartFolder = Annotated[Path | None, typer.Option("--charts", help="Write charts as files of this folder.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds to wait at most; the job goes on.", min=0)]

_DEFAULT = Path("submitter")
_INTERRUPTED = 130
_WAITED_ENOUGH = 124
"""As timeout(1) ends."""


def submit(
    task: Annotated[
        str | None, typer.Argument(help="A .sql or .py file, a task .json, or - for standard input.")
    ] = None,
    *,
    profile: Profile = None,
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
    to: Annotated[str | None, typer.Option(help="pool:NAME or agent:NAME, instead of the profile's.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role to assert. Repeatable.")] = None,
    purpose: Annotated[str, typer.Option(help="Why; stands in the site's audit.")] = "",
    idempotent: Annotated[bool, typer.Option(help="May run again after a crash.")] = False,
    attempts: Annotated[int, typer.Option(help="How often an idempotent job may be tried.", min=1, max=100)] = 3,
    priority: Annotated[int, typer.Option(help="Higher runs earlier; within the pool and the tenant.")] = 0,
    truncate: Annotated[bool, typer.Option(help="Cut a result at its limits instead of failing.")] = False,
    expires: Annotated[int, typer.Option(help="Seconds until the latest start.", min=1)] = 86_400,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the result and print it.")] = True,
    timeout: Timeout = None,
    format_: Print = "table",
    output: Output = None,
    charts: ChartFolder = None,
    as_json: Json = False,
) -> None:
    """Sign a task, send it, and wait for its result. Ctrl-C cancels the job.

    Exit 0 well, 1 refused or failed, 69 no Router, 78 configuration, 124 not ended in time, 130 cancelled by Ctrl-C.
    """
    from agent.cli import tasks
    from agent.cli.programs import Options
    from router.client import Terms

    options = Options(inputs=inputs or (), variables=variables or (), frames=frames, charts=chart_formats or ())
    wanted = tasks.wanted(kind, task, source, parameters=param or (), relations=relation or (), options=options)
    terms = Terms(
        to=to,
        roles=tuple(role or ()),
        purpose=purpose,
        idempotent=idempotent,
        attempts=attempts if idempotent else 1,
        priority=priority,
        on_limit="truncate" if truncate else "fail",
        start_within=expires,
    )
    with _interruptible(), _client(profile) as client:
        job = client.submit(wanted, terms)
        if not wait:
            _sent(job, profile, as_json=as_json)
            return
        try:
            found = _waited(job, timeout)
        except KeyboardInterrupt:
            job.cancel()
            sys.stderr.write(f"router: job {job.id} was asked to end.\n")
            raise
    _show(found, "json" if as_json else format_, output, charts)


def result(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    *,
    profile: Profile = None,
    timeout: Timeout = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the sealed result at the Router.")] = False,
    format_: Print = "table",
    output: Output = None,
    charts: ChartFolder = None,
    as_json: Json = False,
) -> None:
    """Wait for a job that was submitted earlier, and print its result. Ctrl-C leaves the job as it is."""
    with _interruptible(), _client(profile) as client:
        found = _waited(client.job(job), timeout, keep=keep)
    _show(found, "json" if as_json else format_, output, charts)


def _client(profile: Path | None) -> "Client":
    from router.client import Client

    return Client.from_profile(profile or _DEFAULT)


def _sent(job: "Job", profile: Path | None, *, as_json: bool) -> None:
    from agent.cli.render import put, put_json

    if as_json:
        put_json({"id": job.id, "digest": job.digest})
        return
    option = f" --profile {profile}" if profile else ""
    put(f"{job.id}  submitted; its result: router result {job.id}{option}")


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _waited(job: "Job", timeout: float | None, *, keep: bool = False) -> "Opened":
    """The opened result; on a terminal with a line of progress until then. Raises ClientError."""
    from router.client import JobTimeoutError

    try:
        if sys.stderr.isatty() and timeout is None:
            try:
                for step in job.stream():
                    _progress(step)
            finally:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
        return job.opened(timeout, keep=keep)
    except JobTimeoutError as error:
        if error.code != "wait.timeout":
            raise
        sys.stderr.write(f"router: {error.message} Later: router result {job.id}\n")
        sys.exit(_WAITED_ENOUGH)


def _progress(step: "Progress") -> None:
    from agent.cli.render import safe

    phase = f": {safe(step.phase)}" if step.phase else ""
    about = f", {safe(step.rows)} rows or more" if step.rows and step.rows.isdecimal() and step.rows != "0" else ""
    agent = f" on {safe(step.agent)}" if step.agent else ""
    sys.stderr.write(f"\r\x1b[K{safe(step.state)}{agent}{phase}{about}")
    sys.stderr.flush()


def _show(found: "Opened", format_: Format, output: Path | None, charts: Path | None) -> NoReturn:
    """As `agent open` does; the exit code is that of `agent exec`."""
    from agent.cli.open_ import show

    code: Any = show(found, format_, output=output, charts=charts)
    sys.stdout.flush()
    sys.exit(code)
