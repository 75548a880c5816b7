"""`agent open`: check, open and print a sealed result, for whoever holds the opening key."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agent.cli import analyses, documents
from agent.cli.documents import document
from agent.cli.options import Config, Profile
from agent.cli.rows import put_rows, table_of

if TYPE_CHECKING:
    from agent.wire.keys import OpeningKey, VerifyKey
    from agent.wire.sealing import Opened

Format = Literal["table", "json", "csv", "parquet", "arrow"]


def open_result(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="A .mres file.")],
    *,
    format_: Annotated[Format, typer.Option("--format", help="How to print it.")] = "table",
    output: Annotated[
        Path | None, typer.Option(help="Write here instead of standard output; of a program's result, a folder.")
    ] = None,
    charts: Annotated[Path | None, typer.Option(help="Write charts as files of this folder.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="CSV: do not quote cells that a spreadsheet executes.")] = False,
    profile: Profile = None,
    key: Annotated[Path | None, typer.Option(help="Opening key, instead of the profile's.")] = None,
    agent_key: Annotated[list[Path] | None, typer.Option(help="Pinned result key, instead of the profile's.")] = None,
    config: Config = None,
) -> int:
    """Verify the signature against the pinned keys, open, and print. Exit 1 when the job was refused or failed."""
    from agent.cli.site import profile as find_profile
    from agent.identity import keystore

    if key is not None and agent_key:
        opening, pinned = keystore.load_opening(key), {k.kid: k for k in map(keystore.load_verify, agent_key)}
    else:
        submitter = find_profile(profile, config)
        opening = submitter.opening() if key is None else keystore.load_opening(key)
        pinned = {k.kid: k for k in map(keystore.load_verify, agent_key)} if agent_key else submitter.agents()
    return show(opened(result, opening, pinned), format_, output=output, raw=raw, charts=charts)


def opened(
    path: Path, key: "OpeningKey", agents: Mapping[str, "VerifyKey"], *, job_digest: str | None = None
) -> "Opened":
    """The opened result, of just this job when its digest is known. Raises AgentError saying what does not hold."""
    from agent.core.errors import AgentError, ConfigError
    from agent.wire.container import read_mres
    from agent.wire.sealing import open_result as unseal
    from agent.wire.signing import verify_manifest

    try:
        with path.open("rb") as stream:
            manifest, parts = read_mres(stream)
            return unseal(verify_manifest(manifest, agents), parts, key, job_digest=job_digest)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read ({error.strerror}).", "Name a .mres file.") from None
    except ValueError as error:
        raise AgentError(f"{path.name} cannot be opened: {error}") from None


def show(
    found: "Opened", format_: Format, *, output: Path | None = None, raw: bool = False, charts: Path | None = None
) -> int:
    """Print an opened result. A refused or failed job prints its code, message and hint, exit 1."""
    from agent.cli.exits import FAILURE, complain_of
    from agent.cli.render import put_json

    outcome = found.outcome
    if charts is not None:
        _write_charts(found, charts)
    if format_ == "json" and output is None:
        put_json(plain(found))
        return 0 if outcome.outcome == "completed" else FAILURE
    if outcome.outcome != "completed":
        analyses.complain_of_printed(found)
        complain_of(outcome.outcome, outcome.code, outcome.message, outcome.hint, outcome.problems)
        return FAILURE
    described = document(found)
    if described is not None:
        return _show_document(*described, found, format_, output)
    if analyses.is_analysis(found):
        return _show_analysis(found, format_, output, raw=raw, named=charts is not None)
    table = table_of(found)
    if format_ == "table":
        put_rows(table, found)
    else:
        _write(table, found, format_, output, raw=raw)
    return 0


def plain(found: "Opened") -> dict[str, Any]:
    """The outcome object of the protocol's last section."""
    from agent.wire.frames import rows

    outcome = found.outcome
    if outcome.outcome != "completed":
        said: dict[str, Any] = {
            "outcome": outcome.outcome,
            "code": outcome.code,
            "message": outcome.message,
            "hint": outcome.hint,
        }
        said |= {"problems": [one.model_dump() for one in outcome.problems]} if outcome.problems else {}
        return {**said, **analyses.error(found), **analyses.printed(found)}
    described = document(found)
    if described is not None:
        return documents.plain(found, described[1])
    if analyses.is_analysis(found):
        return analyses.plain(found)
    columns, cells = rows(table_of(found))
    disclosure = outcome.disclosure.model_dump(mode="json") if outcome.disclosure is not None else None
    return {
        "outcome": "completed",
        "columns": columns,
        "rows": cells,
        "truncated": outcome.truncated,
        "disclosure": disclosure,
    }


def _show_document(name: str, value: dict[str, Any], found: "Opened", format_: Format, output: Path | None) -> int:
    from agent.cli.render import dump
    from agent.core.errors import ConfigError

    if format_ == "table" and output is None:
        documents.put_document(name, value)
        return 0
    if output is None or format_ not in {"json", "table"}:
        raise ConfigError("--format", "a description is not rows.", "Use table or json.")
    output.write_text(dump(documents.plain(found, value)) + "\n", encoding="utf-8")
    return 0


def _write_charts(found: "Opened", folder: Path) -> None:
    from agent.cli.exits import complain

    written = analyses.write_charts(found, folder)
    complain("\n".join(f"agent: wrote {path}" for path in written) or "agent: there are no charts.")


def _show_analysis(found: "Opened", format_: Format, output: Path | None, *, raw: bool, named: bool) -> int:
    """In a folder: the result in the asked format (a table as CSV), the printed text, the charts."""
    from agent.cli.exits import complain
    from agent.core.errors import ConfigError

    if output is not None:
        written = analyses.write_all(found, output, "csv" if format_ == "table" else format_, with_charts=not named)
        complain("\n".join(f"agent: wrote {path}" for path in written))
        return 0
    if format_ == "table":
        analyses.put(found)
        return 0
    table = table_of(found)
    if table is None:
        raise ConfigError("--format", "the program's result is no frame.", "Use table or json.")
    _write(table, found, format_, None, raw=raw)
    return 0


def _write(table: Any, found: "Opened", format_: Format, output: Path | None, *, raw: bool) -> None:
    import io
    import sys

    from agent.cli.render import dump, put_csv
    from agent.wire.frames import encode_table, rows

    sink = io.BytesIO()
    if format_ in {"arrow", "parquet"}:
        encode_table(table, format_, sink.write)
    elif format_ == "csv":
        columns, cells = rows(table)
        text = io.StringIO(newline="")
        put_csv(text, [column["name"] for column in columns], cells, raw=raw)
        sink.write(text.getvalue().encode())
    else:
        sink.write(dump(plain(found)).encode() + b"\n")
    if output is None:
        sys.stdout.buffer.write(sink.getvalue())
        sys.stdout.buffer.flush()
    else:
        output.write_bytes(sink.getvalue())
