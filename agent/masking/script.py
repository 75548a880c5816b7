"""A script of SQL statements -> the trees of those that create tables and views, whatever else stands in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from agent.core.catalog import Column, Relation
from agent.core.errors import ConfigError
from agent.dialects import Dialect
from agent.dialects.base import words

_CLIENT_LINE: Final = re.compile(r"^\\.*$", re.MULTILINE)
"""What a command-line client reads for itself: `\\connect`, `\\restrict`."""
_BEFORE_NAME: Final = words("or replace temp temporary unlogged global local foreign materialized recursive external")
_AFTER_TYPE: Final = words("check not null default constraint collate")
_DEPTH: Final = {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}
_UNREADABLE: Final = (SqlglotError, RecursionError, ValueError, TypeError, AttributeError, KeyError, IndexError)
_NUMBERED: Final = {"SERIAL": "INT", "BIGSERIAL": "BIGINT", "SMALLSERIAL": "SMALLINT"}
_MAX_DOMAINS: Final = 16


@dataclass(slots=True)
class Script:
    """What a script says.

    `creates` are trees with the words before their names; `enums` hold labels and `domains` base types, by the written
    name of the type; `attached` are the parents of partitions, by their written names.
    """

    creates: list[tuple[exp.Create, frozenset[str]]] = field(default_factory=list)
    enums: dict[str, tuple[str, ...]] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    attached: dict[str, str] = field(default_factory=dict)

    def settled(self, relation: Relation, said: frozenset[str]) -> Relation:
        """The relation with what other statements tell of it."""
        relation = replace(relation, columns=tuple(self._column(column) for column in relation.columns))
        if "materialized" in said:
            return replace(relation, kind="materialized", definition=None)
        if "foreign" in said:
            return replace(relation, kind="foreign")
        parent = self.attached.get(f"{relation.schema}.{relation.name}") or self.attached.get(relation.name)
        if parent is None:
            return relation
        schema, _, name = parent.rpartition(".")
        return replace(relation, parents=(*relation.parents, (schema or relation.schema, name)))

    def _column(self, column: Column) -> Column:
        kind = _NUMBERED.get(column.type, column.type)
        for _ in range(_MAX_DOMAINS):
            if kind not in self.domains:
                break
            kind = self.domains[kind]
        return replace(column, type=kind, labels=self.enums.get(kind, column.labels))


def read(text: str, dialect: Dialect) -> Script:
    """Everything of the script that tells of relations. Raises ConfigError for one that does not parse."""
    text = _CLIENT_LINE.sub("", text)
    script = Script()
    try:
        tokens = dialect.tokens(text)
    except (SqlglotError, RecursionError, ValueError) as error:
        message = "the script does not parse: a quote or comment is not closed."
        raise ConfigError("--catalog", message, "Give CREATE TABLE and CREATE VIEW.") from error
    for statement in _statements(tokens):
        _add(script, statement, text, dialect)
    return script


def _statements(tokens: list[Token]) -> Iterator[list[Token]]:
    found: list[Token] = []
    for token in tokens:
        if token.token_type is not TokenType.SEMICOLON:
            found.append(token)
        elif found:
            yield found
            found = []
    if found:
        yield found


def _add(script: Script, tokens: list[Token], text: str, dialect: Dialect) -> None:
    said = [token.text.lower() for token in tokens]
    if said[:2] == ["alter", "table"] and "attach" in said and "partition" in said:
        child = said.index("partition") + 1
        ends = [place for place in range(child, len(said)) if said[place] in {"for", "default"}]
        parent = tokens[3 if said[2] == "only" else 2 : said.index("attach")]
        script.attached[_name(text, tokens[child : min(ends, default=len(said))])] = _name(text, parent)
    elif said[:2] == ["create", "type"] and "enum" in said and "as" in said:
        labels = tuple(token.text for token in tokens if token.token_type is TokenType.STRING)
        script.enums[_name(text, tokens[2 : said.index("as")])] = labels
    elif said[:2] == ["create", "domain"] and "as" in said:
        start = said.index("as") + 1
        ends = [place for place in range(start, len(said)) if said[place] in _AFTER_TYPE]
        script.domains[_name(text, tokens[2 : start - 1])] = _name(text, tokens[start : min(ends, default=len(said))])
    elif said[0] == "create":
        kinds = _kinds(said)
        tree = _create(_plain(tokens, kinds), text, dialect, must=bool(kinds))
        if tree is not None:
            script.creates.append((tree, kinds))


def _kinds(said: list[str]) -> frozenset[str]:
    """The words between CREATE and the name, where they are known ones and end in TABLE or VIEW."""
    for place, word in enumerate(said[1:], 1):
        if word in {"table", "view"}:
            return frozenset(said[1 : place + 1])
        if word not in _BEFORE_NAME:
            break
    return frozenset()


def _create(tokens: list[Token], text: str, dialect: Dialect, *, must: bool) -> exp.Create | None:
    try:
        trees = dialect.parse(text, tokens)
    except _UNREADABLE:
        trees = []
    tree = trees[0] if len(trees) == 1 else None
    if isinstance(tree, exp.Create) and str(tree.args.get("kind", "")).upper() in {"TABLE", "VIEW"}:
        return tree
    if not must:
        return None
    message = f"the script does not parse: the statement at line {tokens[0].line}."
    raise ConfigError("--catalog", message, "Give plain CREATE TABLE and CREATE VIEW.")


def _plain(tokens: list[Token], kinds: frozenset[str]) -> list[Token]:
    """The statement without what says nothing of columns and is not understood: options of views and servers."""
    kept: list[Token] = []
    depth = skipping = 0
    body = "view" not in kinds
    for place, token in enumerate(tokens):
        word, ahead = token.text.lower(), [one.text.lower() for one in tokens[place + 1 : place + 4]]
        before = depth
        depth += _DEPTH.get(token.token_type, 0)
        body = body or (not depth and word == "as")
        if not before and ((word == "server" and "foreign" in kinds) or _is_tail(word, ahead, kinds)):
            break
        options = word == "with" and ahead[:1] == ["("]
        skipping = bool(skipping and (depth or before)) or (not body and not before and options)
        if skipping or (word == "foreign" and ahead[:1] == ["table"]):
            continue
        if word == "varying" and kept and kept[-1].text.lower() == "bit":
            kept[-1] = Token(TokenType.VAR, "varbit", token.line, token.col, token.start, token.end)
        else:
            kept.append(token)
    return kept


def _is_tail(word: str, ahead: list[str], kinds: frozenset[str]) -> bool:
    """WITH [LOCAL | CASCADED] CHECK OPTION, WITH [NO] DATA."""
    return "view" in kinds and word == "with" and (ahead[:2] == ["check", "option"] or ahead[1:3] == ["check", "option"]
                                                   or "data" in ahead[:2])  # fmt: skip


def _name(text: str, tokens: list[Token]) -> str:
    return text[tokens[0].start : tokens[-1].end + 1] if tokens else ""


def parents_of(tree: exp.Create) -> list[exp.Table]:
    """What the table is a partition of, or inherits from."""
    properties = tree.args.get("properties")
    kept = properties.expressions if properties is not None else []
    found = [one.this for one in kept if isinstance(one, exp.PartitionedOfProperty)]
    found += [table for one in kept if isinstance(one, exp.InheritsProperty) for table in one.expressions]
    return [one for one in found if isinstance(one, exp.Table)]


def copied_of(tree: exp.Create) -> list[exp.Table]:
    """The tables whose columns it has too: its parents, and those of LIKE."""
    written = tree.this.expressions if isinstance(tree.this, exp.Schema) else []
    return [*parents_of(tree), *(one.this for one in written if isinstance(one, exp.LikeProperty))]
