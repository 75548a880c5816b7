"""What catalog and explain jobs answer -> tables for a terminal, and the object for programs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.wire.sealing import Opened

NAMES = ("catalog", "explain")
MAX_BYTES = 64 << 20


def document(found: "Opened") -> tuple[str, dict[str, Any]] | None:
    """The name and value of a description; None for a result of rows. Raises AgentError."""
    from agent.core.errors import AgentError
    from agent.wire import strictjson
    from agent.wire.errors import JsonError

    name = next((name for name in NAMES if f"{name}.json" in found.members), None)
    if name is None:
        return None
    try:
        value = strictjson.loads(found.members[f"{name}.json"][1], MAX_BYTES)
    except JsonError:
        value = None
    if not isinstance(value, dict):
        raise AgentError("the result holds a description that cannot be read.")
    return name, value


def plain(found: "Opened", value: dict[str, Any]) -> dict[str, Any]:
    """The outcome object of a description."""
    outcome = found.outcome
    disclosure = outcome.disclosure.model_dump(mode="json") if outcome.disclosure is not None else None
    return {
        "outcome": "completed",
        "result": {"kind": "json", "value": value},
        "truncated": outcome.truncated,
        "disclosure": disclosure,
    }


def put_document(name: str, value: dict[str, Any]) -> None:
    """The description as tables."""
    if name == "catalog":
        put_catalog(value)
    else:
        put_explained(value)


def put_catalog(value: dict[str, Any]) -> None:
    """One line for a relation, one for each of its columns."""
    from agent.cli.render import put, put_table, safe

    relations = value["relations"]
    put(f"{safe(value['source'])}: {safe(value['dialect'])}, {len(relations)} relations")
    put_table(
        ["relation", "column", "type", "mask", "keys", "comment"],
        [row for relation in relations for row in _relation(relation)],
    )
    if value["truncated"]:
        put("cut at a limit: name relations by globs to see the others")


def _relation(relation: dict[str, Any]) -> list[list[Any]]:
    name = f"{relation['schema']}.{relation['name']}"
    keys = _keys(relation)
    about = ", ".join(filter(None, [relation["kind"], f"{relation['rows']} rows" if "rows" in relation else ""]))
    rows = [[name, "", about, "", "", relation.get("comment", "")]]
    for column in relation["columns"]:
        notes = [column.get("comment", ""), f"{column['nulls']} null" if "nulls" in column else ""]
        notes += ["one of " + ", ".join(column["values"])] if "values" in column else []
        required = " not null" if column.get("nullable") is False else ""
        line = [column["name"], column["type"] + required, column["mask"], keys.get(column["name"], "")]
        rows.append(["", *line, "; ".join(filter(None, notes))])
    return rows


def _keys(relation: dict[str, Any]) -> dict[str, str]:
    keys = dict.fromkeys(relation.get("primary_key", ()), "primary")
    for key in relation.get("foreign_keys", ()):
        for column, referenced in zip(key["columns"], key["referenced"], strict=False):
            to = f"-> {key['schema']}.{key['relation']}.{referenced}"
            keys[column] = f"{keys[column]}, {to}" if column in keys else to
    return keys


def put_explained(value: dict[str, Any]) -> None:
    """What would run, the rule of each column, or why nothing would."""
    from agent.cli.render import put, put_table, safe

    if value.get("kind") == "python":
        put_program(value)
        return
    if not value["admitted"]:
        refusal = value["refusal"]
        put(f"would be refused: {safe(refusal['code'])}: {safe(refusal['message'])}")
        put(f"  {safe(refusal['hint'])}")
        return
    put("what would run:")
    put(f"  {safe(value['sql'] if value['sql'] is not None else value['sql_omitted'])}\n")
    if value["output"] is not None:
        rows = [[one["name"], one["rule"], "\n".join(map(_origin, one["from"]))] for one in value["output"]]
        put_table(["output", "rule", "made of"], rows)
        put()
    put_table(["column", "rule", "why"], [[one["column"], one["rule"], one["why"]] for one in value["columns"]])
    estimate = value["estimate"]
    if estimate is None:
        put(f"\nno estimate: {safe(value['estimate_omitted'])}")
    else:
        put(
            f"\nestimate: {estimate['rows'] or 'few'} rows" + (f", cost {estimate['cost']}" if estimate["cost"] else "")
        )


def put_program(value: dict[str, Any]) -> None:
    """What a program imports, and each of its inputs."""
    from agent.cli.render import put, safe

    if value["refusal"] is not None:
        put(f"would be refused: {safe(value['refusal']['code'])}: {safe(value['refusal']['message'])}")
        put(f"  {safe(value['refusal']['hint'])}")
    put("imports: " + (", ".join(map(safe, value["imports"])) or "nothing"))
    put("charts: " + (", ".join(value["charts"]["formats"]) or "none"))
    for one in value["inputs"]:
        put(f"\ninput {safe(one['input'])}, of {safe(one['source'])}:")
        put_explained(one)


def _origin(origin: dict[str, Any]) -> str:
    return f"{origin['column']} ({origin['rule']})"
