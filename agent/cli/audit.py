"""`agent audit`: prove that the log is as it was written."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import Config, Json

if TYPE_CHECKING:
    from agent.audit.verify import Verdict

app = typer.Typer(help="The tamper-evident log.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The tamper-evident log."""


@app.command("verify")
def verify(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of a log. Default: this agent's, and `agent exec`'s.")
    ] = None,
    *,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check every byte of the chain. Exit 1 when anything was changed, removed or cut off."""
    from agent.audit.verify import verify as check
    from agent.cli.exits import FAILURE
    from agent.cli.render import put, put_json
    from agent.cli.site import settings
    from agent.core.errors import ConfigError
    from agent.identity import state

    key = None
    folders = [folder] if folder is not None else []
    if folder is None or config is not None:
        loaded = settings(config)
        key = state.load(loaded.state_dir).result.public()
        folders = folders or [one for one in (loaded.audit.path, loaded.audit.path / "exec") if one.is_dir()]
    if not folders or not all(one.is_dir() for one in folders):
        raise ConfigError("audit", "there is no log yet.", "Run a job first, or name the log's folder.")
    verdicts = {str(one): check(one, key) for one in folders}
    ok = all(verdict.ok for verdict in verdicts.values())
    if as_json:
        put_json({"ok": ok, "logs": [_shown(name, verdict) for name, verdict in verdicts.items()]})
    else:
        for name, verdict in verdicts.items():
            put(f"{'ok' if verdict.ok else 'NOT OK'}: {name}: {verdict.records} records, head {verdict.head.hash}")
            for problem in verdict.problems:
                put(f"  {problem}")
    if not ok:
        raise typer.Exit(FAILURE)


def _shown(folder: str, verdict: "Verdict") -> dict[str, object]:
    return {
        "folder": folder,
        "ok": verdict.ok,
        "records": verdict.records,
        "seq": verdict.head.seq,
        "hash": verdict.head.hash,
        "problems": list(verdict.problems),
    }
