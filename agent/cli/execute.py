"""`agent exec`: run a task here and now through the whole line, signed by the local operator's key."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from agent.cli.options import Charts, Config, FramesOption, Input, Json, Kind, Variable

if TYPE_CHECKING:
    from agent.service.local import LocalLine
    from agent.settings import LoadedPolicy, Settings
    from agent.wire.sealing import Opened

_UNTRUSTED_HINT = "Let the local operator ask: `agent trust operator`."


def execute(
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
    role: Annotated[list[str] | None, typer.Option(help="Role to assert; granted in trust.json. Repeatable.")] = None,
    truncate: Annotated[bool, typer.Option(help="Cut a result at its limits instead of failing.")] = False,
    charts: Annotated[Path | None, typer.Option(help="Write charts as files of this folder.")] = None,
    jsonl: Annotated[str | None, typer.Option(help="FILE or -: one task a line, one outcome a line.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> int:
    """Verify, run isolated, mask, seal, sign, open: all that a job goes through, but the transport. Audited apart."""
    from agent.cli import tasks
    from agent.cli.exits import FAILURE, USAGE, complain, complain_of
    from agent.cli.open_ import show
    from agent.cli.programs import Options
    from agent.cli.site import site

    if (task is None and kind != "catalog") == (jsonl is None):
        complain("agent: name one TASK, or --jsonl FILE|-.")
        return USAGE
    settings, policy = site(config)
    terms = {"roles": tuple(role or ()), "on_limit": "truncate" if truncate else "fail"}
    if jsonl is not None:
        return stream(settings, policy, jsonl, terms)
    options = Options(inputs=inputs or (), variables=variables or (), frames=frames, charts=chart_formats or ())
    wanted = tasks.wanted(kind, task, source, parameters=param or (), relations=relation or (), options=options)
    found = single(settings, policy, wanted, terms)
    if isinstance(found, dict):
        complain_of("refused", found["code"], found["message"], found["hint"])
        return FAILURE
    return show(found, "json" if as_json else "table", charts=charts)


def single(
    settings: "Settings", policy: "LoadedPolicy", task: dict[str, Any], terms: dict[str, Any], *, reveal: bool = False
) -> "Opened | dict[str, Any]":
    """One task object through a line of its own: the opened result, or why its envelope was not accepted."""
    from agent.app import local_line

    python = task.get("kind") == "python"
    with Operator(settings, local_line(settings, policy, reveal=reveal, python=python)) as operator:
        return operator.run(task, terms)


def stream(settings: "Settings", policy: "LoadedPolicy", jsonl: str, terms: dict[str, Any]) -> int:
    """Each outcome is flushed before the next line is read; end of input ends everything."""
    from agent.app import local_line
    from agent.cli.tasks import lines

    with Operator(settings, local_line(settings, policy)) as operator, lines(jsonl) as found:
        for line in found:
            _put(operator.outcome(line, terms))
    return 0


def _put(outcome: dict[str, Any]) -> None:
    import sys

    from agent.cli.render import dump

    sys.stdout.write(dump(outcome) + "\n")
    sys.stdout.flush()


class Operator:
    """Signs tasks with the local operator's key and opens what comes back."""

    def __init__(self, settings: "Settings", line: "LocalLine") -> None:
        """Args: whose keys; the line that runs."""
        from agent.identity import state

        self._settings, self._line = settings, line
        self._identity = state.load(settings.state_dir)

    def __enter__(self) -> Self:
        """Start the line. Raises AgentError."""
        from anyio.from_thread import start_blocking_portal

        with ExitStack() as opened:  # a line that does not start leaves no thread: the interpreter would wait for it
            self._portal = opened.enter_context(start_blocking_portal())
            opened.enter_context(self._portal.wrap_async_context_manager(self._line))
            self._open = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._open.close()

    def outcome(self, line: bytes, terms: dict[str, Any]) -> dict[str, Any]:
        """The outcome object of one task line, whatever the line holds."""
        from agent.cli.open_ import plain
        from agent.core.codes import CODES
        from agent.core.errors import Refuse
        from agent.wire.models import TaskLine
        from agent.wire.strictjson import loads

        ref = TaskLine.ref_of(line)
        try:
            parsed = TaskLine.parse(line)
        except Refuse as refusal:
            return {"ref": ref, **_refused(refusal)}
        task = loads(line, len(line))
        assert isinstance(task, dict)
        task = {name: value for name, value in task.items() if name not in {"ref", "limits"}}
        try:
            found = self.run(task, {**terms, "limits": parsed.limits})
            return {"ref": parsed.ref, **(found if isinstance(found, dict) else plain(found))}
        except ValueError:  # a result that cannot be read back is a defect; the stream goes on
            known = CODES["internal.error"]
            return {
                "ref": parsed.ref,
                "outcome": "failed",
                "code": known.name,
                "message": known.meaning,
                "hint": known.remedy,
            }

    def run(self, task: dict[str, Any], terms: dict[str, Any]) -> "Opened | dict[str, Any]":
        """The opened result, or a `refused` object when the operator may not ask this."""
        from agent.cli.jobs import Wanted, job_of
        from agent.core.errors import Refuse
        from agent.wire.sealing import open_result
        from agent.wire.signing import job_digest, sign_job, verify_manifest

        key = self._identity.operator_open
        job = job_of(
            Wanted(task=task, **terms),
            tenant=self._settings.tenant,
            audience=f"agent:{self._settings.agent.name}",
            user=_user(),
            reply_to=key.public().kid,
        )
        try:
            envelope = sign_job(job, self._identity.operator)
            result = self._portal.call(self._line.run, envelope)
        except Refuse as refusal:
            return _refused(refusal)
        with result.parts as parts:
            manifest = verify_manifest(result.manifest, {self._identity.result.kid: self._identity.result.public()})
            return open_result(manifest, parts, key, job_digest=job_digest(envelope))


def _refused(refusal: Any) -> dict[str, Any]:
    hint = _UNTRUSTED_HINT if refusal.code == "envelope.untrusted" else refusal.hint
    return {"outcome": "refused", "code": refusal.code, "message": refusal.message, "hint": hint}


def _user() -> str:
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid-{os.getuid()}"


__all__ = ["Operator", "execute", "single", "stream"]
