"""A policy and what sources hold -> what in it does nothing, or not what it seems to. Knows names and types only."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from agent.core.catalog import Catalog, Column, Relation
from agent.dialects.base import words
from agent.masking.matching import any_matches, family, parts_of
from agent.masking.patterns import is_regex, names
from agent.masking.policy import ColumnRule, Policy
from agent.masking.rules.token import Token

SMALL_GROUP: Final = 5
"""Below this many people, a group's average says much of each of them."""
_FEW_VALUES: Final = words("bool boolean bit enum tinyint utinyint char(1) character(1) varchar(1)")


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """One thing to look at. `rule` is the line of `rules` that it is about, from 0. Names and types, never a value."""

    level: Literal["error", "warning", "note"]
    rule: int | None
    text: str
    fix: str


def findings(policy: Policy, catalogs: Sequence[Catalog], roles: Collection[str] | None = None) -> list[PolicyFinding]:
    """All findings, those about rules in their order. `roles` are those that trust.json lets somebody assert."""
    found = [*_of_whole(policy), *_of_keys(policy), *_of_rules(policy, roles)]
    if catalogs:
        found += [*_of_tables(policy, catalogs), *_of_subjects(policy, catalogs), *_of_columns(policy, catalogs)]
    return sorted(found, key=lambda one: -1 if one.rule is None else one.rule)


def _of_whole(policy: Policy) -> Iterator[PolicyFinding]:
    if policy.default == "keep" and not policy.rules:
        yield PolicyFinding("warning", None, "Nothing is masked: default is keep, without rules.", "Write rules.")
    if policy.subjects and not policy.counts:
        text = "subjects counts nobody: min_group_size is 1."
        yield PolicyFinding("warning", None, text, f"Set min_group_size to {SMALL_GROUP} or more, or remove subjects.")
    if policy.counts and policy.min_group_size < SMALL_GROUP:
        text = f"Groups of {policy.min_group_size} people are small: sums and spreads together can tell their values."
        yield PolicyFinding("note", None, text, f"Set min_group_size to {SMALL_GROUP} or more.")
    drawn = [name for name in policy.release.chart_formats if name in {"png", "svg"}]
    if policy.release.charts == "spec_only" and "chart_formats" in policy.release.model_fields_set and drawn:
        text = f"release.chart_formats names {' and '.join(drawn)}, which do not leave: charts is spec_only."
        yield PolicyFinding("warning", None, text, "Remove them, or set release.charts to with_data.")
    if policy.release.charts != "off" and not policy.release.charts_out:
        text = "No chart leaves: release.chart_formats names no format that release.charts lets out."
        yield PolicyFinding("note", None, text, "Name vega-lite or plotly, or set release.charts to off.")
    for tag in policy.tags:
        if not any(line.tag == tag for line in policy.rules):
            yield PolicyFinding("note", None, f"No rule uses the tag {tag}.", "Write a rule with it, or remove it.")


def _of_keys(policy: Policy) -> Iterator[PolicyFinding]:
    tokens = [line.rule for line in policy.rules if isinstance(line.rule, Token)]
    if policy.keys.token_previous is not None and not any(rule.key == "previous" for rule in tokens):
        text = "No rule uses the previous key of token."
        yield PolicyFinding("note", None, text, "Remove keys.token_previous: the key need not live any longer.")
    for domain in sorted({rule.domain for rule in tokens}):
        if len({rule.key for rule in tokens if rule.domain == domain}) > 1:
            text = (
                f"Tokens of the domain {domain} are made with two keys: columns of one do not join those of the other."
            )
            yield PolicyFinding("note", None, text, "Move the rest of the columns to the current key.")


def _of_rules(policy: Policy, roles: Collection[str] | None) -> Iterator[PolicyFinding]:
    for place, line in enumerate(policy.rules):
        before = next((one for one in policy.rules[:place] if _covers(one, line)), None)
        if before is not None:
            text = f"Never decides: {_written(before)} above it names all that it names."
            yield PolicyFinding("warning", place, text, "Move it up, or remove it.")
        unknown = sorted(set(line.unless_roles) - set(roles)) if roles is not None else []
        if unknown:
            text = f"No key of trust.json may assert {', '.join(unknown)}: nobody is exempt by it."
            yield PolicyFinding("warning", place, text, "Correct the role, or grant it with `agent trust add`.")
        if line.opens and line.tag is not None and not policy.tags.get(line.tag):
            text = "Never decides: a tag in a comment cannot open a column."
            yield PolicyFinding("warning", place, text, "Name the columns under tags, or by match.")


def _covers(first: ColumnRule, later: ColumnRule) -> bool:
    """Whether the first line names all that a later one names, as far as that can be told from their texts."""
    if (first.match, first.type, first.tag) == (later.match, later.type, later.tag):
        return True
    if first.type is not None or first.tag is not None or first.match is None or later.match is None:
        return False
    if is_regex(first.match) or is_regex(later.match):
        return False
    pairs = zip(first.match.casefold().split("."), later.match.casefold().split("."), strict=True)
    return all(mine in {"*", other} for mine, other in pairs)


def _written(line: ColumnRule) -> str:
    given = [f"{key} {value}" for key in ("match", "type", "tag") if (value := getattr(line, key)) is not None]
    return " and ".join(given)


def _of_tables(policy: Policy, catalogs: Sequence[Catalog]) -> Iterator[PolicyFinding]:
    relations = [(catalog, relation) for catalog in catalogs for relation in catalog.relations]
    sources = {catalog.source.casefold() for catalog in catalogs}
    for key in ("allow", "deny"):
        for glob in getattr(policy.tables, key):
            if any(any_matches((glob,), family(*one)) for one in relations) or _is_elsewhere(glob, sources):
                continue
            text = f"tables.{key}: {glob} matches no relation."
            yield PolicyFinding("warning", None, text, "Correct the pattern, or remove it.")
    for catalog, relation in relations:
        allowed = any_matches(policy.tables.allow, (parts_of(catalog.source, relation),))
        if relation.kind in {"materialized", "foreign"} and allowed and policy.hides(catalog, relation):
            text = f"{catalog.source}.{relation.schema}.{relation.name} holds rows of its own, and is not readable."
            yield PolicyFinding("note", None, text, "To open it, name it in tables.allow, without a wildcard.")


def _is_elsewhere(glob: str, sources: Collection[str]) -> bool:
    """Whether a glob is about sources that were not looked at."""
    first = glob.casefold().split(".")[0]
    return not any(any_matches((f"{first}.*.*",), ((source, "", ""),)) for source in sources)


def _of_subjects(policy: Policy, catalogs: Sequence[Catalog]) -> Iterator[PolicyFinding]:
    sources = {catalog.source.casefold() for catalog in catalogs}
    for glob, key in policy.subjects.items():
        named = [(c, r) for c in catalogs for r in c.relations if any_matches((glob,), family(c, r))]
        if not named and not _is_elsewhere(glob, sources):
            yield PolicyFinding("error", None, f"subjects: {glob} matches no relation: nobody is counted by it.", "")
        for catalog, relation in named:
            if [column.name.casefold() for column in relation.columns].count(key.casefold()) != 1:
                name = f"{catalog.source}.{relation.schema}.{relation.name}"
                text = f"subjects: {name} has no column {key}: every statement over it is refused."
                yield PolicyFinding("error", None, text, "Correct the column, or the pattern.")


def _of_columns(policy: Policy, catalogs: Sequence[Catalog]) -> Iterator[PolicyFinding]:
    """What each rule does over all columns, and what tags name."""
    places = {id(line): place for place, line in enumerate(policy.rules)}
    deciding: dict[int, list[str]] = {}
    naming: set[int] = set()
    for catalog, relation, column in _columns(catalogs):
        lines = policy.lines_of(catalog, relation)
        line = lines.naming(column)
        if line is not None:
            few = deciding.setdefault(places[id(line)], [])
            if isinstance(line.rule, Token) and _has_few_values(column):
                few.append(f"{catalog.source}.{relation.schema}.{relation.name}.{column.name}")
        naming |= {places[id(one)] for one in lines.all if lines.holds(one, column)}
    sources = {catalog.source.casefold() for catalog in catalogs}
    for place, line in enumerate(policy.rules):
        is_glob = line.match is not None and not is_regex(line.match)
        if not (is_glob and _is_elsewhere(line.match or "", sources)):
            yield from _of_rule(line, place, deciding.get(place), names_some=place in naming)
    for tag, patterns in policy.tags.items():
        for pattern in patterns:
            if not any(names(pattern, (*parts_of(c.source, r), o.name.casefold())) for c, r, o in _columns(catalogs)):
                yield PolicyFinding("warning", None, f"tags: {pattern} of {tag} names no column.", "Correct it.")


def _of_rule(line: ColumnRule, place: int, few: list[str] | None, *, names_some: bool) -> Iterator[PolicyFinding]:
    """`few` are the columns of few values among those that it decides about; None: it decides about none."""
    if not names_some:
        yield PolicyFinding("warning", place, f"{_written(line)} names no column.", "Correct it, or remove it.")
    elif few is None:
        text = f"Never decides: other rules come first for all that {_written(line)} names."
        yield PolicyFinding("warning", place, text, "Move it up, or remove it.")
    elif few:
        text = f"token on {few[0]}, which has few values: how often each comes tells which it is."
        yield PolicyFinding("warning", place, text, "Use redact.")


def _columns(catalogs: Sequence[Catalog]) -> Iterator[tuple[Catalog, Relation, Column]]:
    for catalog in catalogs:
        for relation in catalog.relations:
            for column in relation.columns:
                yield catalog, relation, column


def _has_few_values(column: Column) -> bool:
    text = column.type.casefold()
    return bool(column.labels) or text in _FEW_VALUES or text.startswith("enum")
