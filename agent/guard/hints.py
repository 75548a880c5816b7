"""What to write instead of a construct that is refused."""

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

_ARGUMENTS: Final[Mapping[str, str]] = {
    "locks": "Drop FOR UPDATE or FOR SHARE: nothing is locked or changed here.",
    "into": "Drop INTO: the rows are the job's result.",
    "hint": "Drop the hint.",
    "hints": "Drop the hint.",
    "settings": "Drop SETTINGS.",
    "options": "Drop OPTION.",
    "format": "Drop FORMAT: the job's `format` says how rows are returned.",
    "when": "Query the table as it is now, without time travel.",
    "version": "Query the table as it is now, without time travel.",
    "changes": "Query the table as it is now, without CHANGES.",
    "only": "Drop ONLY: a table is read with its partitions.",
    "rows_from": "Drop ROWS FROM; call one function, or query a table.",
    "partition": "Drop PARTITION; filter with WHERE.",
    "connect": "Use WITH RECURSIVE instead of CONNECT BY.",
    "match": "Use window functions instead of MATCH_RECOGNIZE.",
    "final": "Drop FINAL.",
    "prewhere": "Use WHERE instead of PREWHERE.",
    "ordinality": "Number rows with row_number() OVER ().",
    "parse": "Drop it.",
}

_NODES: Final[Mapping[type[exp.Expression], str]] = {
    exp.Command: "Send one SELECT.",
    exp.Insert: "Nothing can be changed here; send one SELECT.",
    exp.Update: "Nothing can be changed here; send one SELECT.",
    exp.Delete: "Nothing can be changed here; send one SELECT.",
    exp.Into: _ARGUMENTS["into"],
    exp.Lock: _ARGUMENTS["locks"],
    exp.Hint: _ARGUMENTS["hint"],
    exp.Operator: "Write the operator itself: a + b.",
    exp.Parameter: "Pass values as parameters, written :name.",
    exp.SessionParameter: "Pass values as parameters, written :name.",
    exp.Version: _ARGUMENTS["version"],
}


def argument_hint(key: str) -> str:
    """For an argument of a node, by sqlglot's name of it."""
    return _ARGUMENTS.get(key, "Remove it.")


def node_hint(kind: type[exp.Expression]) -> str:
    """For a node."""
    return _NODES.get(kind, "Write the query with plain SELECT constructs.")
