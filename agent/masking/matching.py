"""A relation -> the lines of `rules` that may name its columns, its partition parents' before its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from agent.core.catalog import Catalog, Column, Relation
from agent.guard.remember import by_identity
from agent.masking.patterns import (
    Segment,
    comment_tags,
    is_regex,
    last_part,
    matches,
    matches_text,
    may_name,
    names,
)

Parts = tuple[str, str, str]
"""Casefolded source, schema and table."""


class Line(Protocol):
    """The conditions of one line of `rules`; all that are given must hold."""

    @property
    def match(self) -> str | None:
        """A glob, or a regular expression as `/…/`."""
        ...

    @property
    def type(self) -> str | None:
        """A glob over the engine's own text of the type."""
        ...

    @property
    def tag(self) -> str | None:
        """A name of `tags`, or a tag in comments."""
        ...

    @property
    def opens(self) -> bool:
        """Whether the line shows values: a comment must not bring that about."""
        ...


@dataclass(frozen=True, slots=True)
class Tags:
    """`tags`: patterns by name, and whether comments of columns carry tags too."""

    patterns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    in_comments: bool = False

    def may_hold(self, tag: str, parts: Sequence[str]) -> bool:
        """Whether some column below these parts may carry the tag."""
        return self.in_comments or any(may_name(one, parts) for one in self.patterns.get(tag, ()))

    def hold(self, tag: str, parts: Sequence[str], column: Column, *, opens: bool) -> bool:
        """Whether the column carries the tag. Who writes comments can protect a column, and never open it."""
        if any(names(one, parts) for one in self.patterns.get(tag, ())):
            return True
        return self.in_comments and not opens and tag.casefold() in comment_tags(column.comment)


Some = TypeVar("Some", bound=Line)


@dataclass(frozen=True, slots=True)
class _Below(Generic[Some]):
    """A line that may name a column of one relation: what is left to ask of each column.

    `name` is what the line's glob says of the column's own name; `more` that there is more to the line than that.
    """

    line: Some
    name: Segment
    more: bool


@dataclass(frozen=True, slots=True)
class Lines(Generic[Some]):
    """The lines that may name a column of one relation, by the paths whose rules hold for it."""

    paths: tuple[tuple[Parts, tuple[_Below[Some], ...]], ...]
    tags: Tags
    view: bool

    def __bool__(self) -> bool:
        return any(lines for _, lines in self.paths)

    @property
    def all(self) -> tuple[Some, ...]:
        """Every line, in the order of asking."""
        return tuple(one.line for _, lines in self.paths for one in lines)

    def naming(self, column: Column) -> Some | None:
        """The line that decides about a column, whoever asks: the first, and of a parent's and its own a masking one.

        A type alone does not name a column of a view: what is beneath it has a type of its own, and its mask by that.
        """
        found = [line for parts, lines in self.paths if (line := self._first(column, parts, lines)) is not None]
        return next((line for line in found if not line.opens), found[0] if found else None)

    def holds(self, line: Some, column: Column) -> bool:
        """Whether a line's conditions hold for a column, whichever line decides."""
        return any(
            self._holds(line, (*parts, column.name.casefold()), column)
            for parts, lines in self.paths
            if any(one.line == line for one in lines)
        )

    def _first(self, column: Column, parts: Parts, lines: Sequence[_Below[Some]]) -> Some | None:
        name = column.name.casefold()
        for one in lines:
            if one.name(name) and (not one.more or self._holds(one.line, (*parts, name), column)):
                return one.line
        return None

    def _holds(self, line: Some, path: Sequence[str], column: Column) -> bool:
        if self.view and line.match is None and line.tag is None:
            return False
        if line.match is not None and not names(line.match, path):
            return False
        if line.type is not None and not matches_text(line.type, column.type):
            return False
        return line.tag is None or self.tags.hold(line.tag, path, column, opens=line.opens)


def lines_of(lines: Sequence[Some], catalog: Catalog, relation: Relation, tags: Tags) -> Lines[Some]:
    """What of `rules` may name a column of this relation."""
    paths = [(parts, _below(lines, parts, tags)) for parts in family(catalog, relation)]
    return Lines(tuple(paths), tags, relation.definition is not None)


def _below(lines: Sequence[Some], parts: Parts, tags: Tags) -> tuple[_Below[Some], ...]:
    return tuple(
        _asked(line)
        for line in lines
        if (line.match is None or may_name(line.match, parts)) and (line.tag is None or tags.may_hold(line.tag, parts))
    )


def _asked(line: Some) -> _Below[Some]:
    """What the glob says of schemas and tables was asked already: once for a relation, not for every column."""
    is_glob = line.match is not None and not is_regex(line.match)
    more = not is_glob or line.type is not None or line.tag is not None
    return _Below(line, last_part(line.match if is_glob and line.match is not None else "*"), more)


def parts_of(source: str, relation: Relation) -> Parts:
    """A relation's own path."""
    return source.casefold(), relation.schema.casefold(), relation.name.casefold()


def family(catalog: Catalog, relation: Relation) -> tuple[Parts, ...]:
    """The paths whose rules hold for a relation: its partition parents', the farthest first, and its own."""
    if not relation.parents:
        return (parts_of(catalog.source, relation),)
    known = by_name(catalog)
    found: list[Parts] = []
    for schema, name in _ancestors(relation, known):
        path = (catalog.source.casefold(), schema.casefold(), name.casefold())
        if path not in found:
            found.append(path)
    return (*reversed(found), parts_of(catalog.source, relation))


def _ancestors(relation: Relation, known: Mapping[tuple[str, str], Relation]) -> Iterator[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    waiting = list(relation.parents)
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        yield name
        waiting += known[name].parents if name in known else ()


@by_identity
def by_name(catalog: Catalog) -> Mapping[tuple[str, str], Relation]:
    """Relations by schema and name."""
    return {(relation.schema, relation.name): relation for relation in catalog.relations}


def any_matches(globs: Sequence[str], paths: Sequence[Parts]) -> bool:
    """Whether one of the globs names one of the relations."""
    return any(matches(glob, path) for glob in globs for path in paths)
