"""The rows of an opened result: as a table of Arrow, and on the terminal."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.wire.sealing import Opened


def table_of(found: "Opened") -> Any:
    """The rows as a `pyarrow.Table`; None when there are none. Raises AgentError."""
    from agent.core.errors import AgentError
    from agent.wire.frames import decode

    held = [(media, data) for name, (media, data) in found.members.items() if name.startswith("rows.")]
    if not held:
        return None
    try:
        return decode(*held[0])
    except KeyError:
        raise AgentError("the result holds rows in a format that cannot be read.") from None


def put_rows(table: Any, found: "Opened") -> None:
    """Rows as a table, and which of their columns are masked."""
    from agent.cli.render import put, put_table, safe
    from agent.wire.frames import rows

    columns, cells = rows(table)
    numeric = [any(word in column["type"] for word in ("int", "float", "double", "decimal")) for column in columns]
    put_table([column["name"] for column in columns], cells, numeric=numeric)
    outcome = found.outcome
    put(f"{outcome.rows} rows" + (", cut at a limit" if outcome.truncated else ""))
    disclosure = outcome.disclosure
    masked = {name: rule for name, rule in (disclosure.columns if disclosure else {}).items() if rule != "keep"}
    if masked:
        put("masked: " + ", ".join(f"{safe(name)} ({rule})" for name, rule in masked.items()))
