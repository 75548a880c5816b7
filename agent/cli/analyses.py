"""What a program gave back -> the object for programs, tables for a terminal, and files of its charts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.rows import put_rows, table_of

if TYPE_CHECKING:
    from agent.wire.sealing import Opened

CHART = "chart-"
MAX_BYTES = 256 << 20


def is_analysis(found: "Opened") -> bool:
    """Whether a program gave this back."""
    return found.outcome.outcome == "completed" and found.outcome.result is not None


def plain(found: "Opened") -> dict[str, Any]:
    """The outcome object of a program that ran."""
    outcome = found.outcome
    disclosure = outcome.disclosure.model_dump(mode="json") if outcome.disclosure is not None else None
    return {
        "outcome": "completed",
        "result": _result(found),
        "outputs": [_output(media_type, data) for _, media_type, data in charts(found)],
        **printed(found),
        "truncated": outcome.truncated,
        "disclosure": disclosure,
    }


def printed(found: "Opened") -> dict[str, Any]:
    """What a program printed; nothing of a job that ran none."""
    said = found.outcome.printed
    if said is None:
        return {}
    cut = {"stdout_truncated": said.stdout_truncated, "stderr_truncated": said.stderr_truncated}
    return {"stdout": _text(found, "stdout.txt"), "stderr": _text(found, "stderr.txt")} | {
        name: True for name, more in cut.items() if more
    }


def error(found: "Opened") -> dict[str, Any]:
    """The exception that ended a program; nothing of a job that ended otherwise."""
    outcome = found.outcome
    if outcome.code != "python.error" or not outcome.problems:
        return {}
    first = outcome.problems[0]
    return {"error": {"type": first.name, "message": first.message, "line": first.line}}


def charts(found: "Opened") -> Iterator[tuple[str, str, bytes]]:
    """Name, media type and bytes of each chart."""
    for name, (media_type, data) in found.members.items():
        if name.startswith(CHART):
            yield name, media_type, data


def put(found: "Opened") -> None:
    """The result, what was printed, and which charts there are; nothing is written to files."""
    from agent.cli.render import put as line
    from agent.cli.render import safe

    printed_text = _text(found, "stdout.txt")
    if printed_text:
        _put_text(printed_text)
    _put_result(found)
    _complain_of_errors(found)
    for name, media_type, data in charts(found):
        line(f"{name}  {safe(media_type)}, {len(data):,} bytes; write it with --charts DIR")
    if found.outcome.truncated and table_of(found) is None:
        line("cut at a limit")
    for note in found.outcome.disclosure.notes if found.outcome.disclosure is not None else ():
        if "left out" in note or "no format" in note:
            line(safe(note))


def write_charts(found: "Opened", folder: Path) -> list[Path]:
    """The charts as files of `folder`, which is made. Raises ConfigError before it would overwrite one."""
    return _written(folder, [(name, data) for name, _, data in charts(found)])


def write_all(found: "Opened", folder: Path, format_: str, *, with_charts: bool) -> list[Path]:
    """Everything as files of `folder`: `rows.FORMAT` or `result.json`, printed text, charts. Raises ConfigError."""
    import io

    from agent.cli.render import put_csv
    from agent.wire.frames import encode_table, rows

    files: list[tuple[str, bytes]] = []
    table = table_of(found)
    if table is not None and format_ == "csv":
        columns, cells = rows(table)
        text = io.StringIO(newline="")
        put_csv(text, [column["name"] for column in columns], cells, raw=False)
        files.append(("rows.csv", text.getvalue().encode()))
    elif table is not None:
        sink = io.BytesIO()
        encode_table(table, format_, sink.write)
        files.append((f"rows.{format_}", sink.getvalue()))
    kept = ("result.json", "stdout.txt", "stderr.txt")
    files += [(name, found.members[name][1]) for name in kept if name in found.members]
    files += [(name, data) for name, _, data in charts(found)] if with_charts else []
    return _written(folder, files)


def _written(folder: Path, files: Sequence[tuple[str, bytes]]) -> list[Path]:
    """Names are those of members: small letters, digits, dot and dash."""
    from agent.core.errors import ConfigError

    wanted = [(folder / name, data) for name, data in files]
    taken = [path for path, _ in wanted if path.exists()]
    if taken:
        raise ConfigError(str(taken[0]), "is there already.", "Name another folder, or remove it.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in wanted:
            with path.open("xb") as file:
                file.write(data)
    except OSError as failure:
        raise ConfigError(str(folder), f"cannot be written ({failure.strerror}).") from None
    return [path for path, _ in wanted]


def _result(found: "Opened") -> dict[str, Any]:
    from agent.wire.frames import rows

    kind = found.outcome.result.kind if found.outcome.result is not None else "none"
    if kind == "frame":
        columns, cells = rows(table_of(found))
        return {"kind": "frame", "columns": columns, "rows": cells}
    return {"kind": "json", "value": _json(found.members["result.json"][1])} if kind == "json" else {"kind": "none"}


def _output(media_type: str, data: bytes) -> dict[str, Any]:
    import base64

    if media_type.endswith("+json"):
        return {"media_type": media_type, "data": _json(data)}
    if media_type == "image/svg+xml":
        return {"media_type": media_type, "data": data.decode("utf-8", "replace")}
    return {"media_type": media_type, "data_base64": base64.b64encode(data).decode("ascii")}


def _json(data: bytes) -> Any:
    from agent.core.errors import AgentError
    from agent.wire import strictjson
    from agent.wire.errors import WireError

    try:
        return strictjson.loads(data, MAX_BYTES)
    except WireError:
        raise AgentError("the result holds JSON that cannot be read.") from None


def _text(found: "Opened", name: str) -> str:
    return found.members[name][1].decode("utf-8", "replace") if name in found.members else ""


def _put_result(found: "Opened") -> None:
    import json

    from agent.cli.render import put as line
    from agent.cli.render import safe

    table = table_of(found)
    if table is not None:
        put_rows(table, found)
    elif "result.json" in found.members:
        text = json.dumps(_json(found.members["result.json"][1]), ensure_ascii=False, indent=2)
        line("\n".join(map(safe, text.split("\n"))))


def _put_text(text: str) -> None:
    from agent.cli.render import put as line
    from agent.cli.render import safe

    for one in text.removesuffix("\n").split("\n"):
        line(safe(one.replace("\t", "    ")))


def _complain_of_errors(found: "Opened") -> None:
    from agent.cli.exits import complain
    from agent.cli.render import safe

    text = _text(found, "stderr.txt").removesuffix("\n")
    if text:
        complain("\n".join(map(safe, text.split("\n"))))


def complain_of_printed(found: "Opened") -> None:
    """What a program that failed had printed until then."""
    text = _text(found, "stdout.txt")
    if text:
        _put_text(text)
    _complain_of_errors(found)
