"""policy.yaml -> `Policy`: which column gets which rule, for whom; the security officer's file."""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agent.core.catalog import Catalog, Column, Relation
from agent.core.job import ChartFormat
from agent.masking.catalog_policy import CatalogShown
from agent.masking.matching import Lines, Tags, any_matches, family, lines_of, parts_of
from agent.masking.patterns import TABLE_PARTS, Pattern, check_glob, is_plain, matches
from agent.masking.pii.config import PiiNet
from agent.masking.rules import AnyRule, Rule
from agent.masking.rules.keep import Keep
from agent.masking.rules.redact import Redact
from agent.masking.rules.token import Token

_SHAPE = "source.schema.table"
_KEEP = Keep()
_DEFAULTS: Mapping[str, Rule | None] = {"redact": Redact(), "keep": _KEEP, "refuse": None}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Keys(_Model):
    """Secret references for keyed rules."""

    token: str | None = Field(default=None, description="Secret reference of the key of `token`, at least 32 bytes.")
    token_previous: str | None = Field(
        default=None,
        description="The key before, for rules that say `key: previous` while columns move to the new one.",
    )


class Tables(_Model):
    """Which relations jobs may read at all."""

    allow: tuple[str, ...] = Field(
        default=("*.*.*",),
        description="Globs over source.schema.table. Materialised views and foreign tables must be named in full.",
    )
    deny: tuple[str, ...] = Field(default=(), description="Globs that win over allow, also beneath views.")

    @field_validator("allow", "deny")
    @classmethod
    def _three_parts(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            check_glob(pattern, TABLE_PARTS, _SHAPE)
        return patterns


class ColumnRule(_Model):
    """One line of `rules`. All conditions that it gives must hold."""

    match: Pattern | None = Field(
        default=None,
        description='Glob over source.schema.table.column, or `{regex: "…"}` over all of it; without regard to case.',
    )
    type: str | None = Field(
        default=None, min_length=1, max_length=200, description="Glob over the engine's own text of the type."
    )
    tag: str | None = Field(default=None, min_length=1, description="A name of `tags`, or a tag in comments.")
    rule: AnyRule = Field(description="What happens to the column.")
    unless_roles: tuple[str, ...] = Field(default=(), description="A requester with one of these roles sees the value.")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.match is None and self.type is None and self.tag is None:
            raise ValueError("give match, type or tag")
        return self

    @property
    def opens(self) -> bool:
        """Whether the line shows the value."""
        return self.rule.rule == "keep"


class Release(_Model):
    """Caps on what leaves. The job's and the site's limits apply too; the smallest counts."""

    max_rows: int = Field(default=10_000, ge=1, description="Rows of a result.")
    max_bytes: int = Field(default=33_554_432, ge=1024, description="Bytes of a result's Arrow data.")
    require_aggregate: bool = Field(default=False, description="Only grouped or aggregated rows leave, of any table.")
    pii_net: PiiNet = PiiNet()
    charts: Literal["spec_only", "with_data", "off"] = Field(
        default="with_data", description="Charts of programs: as drawn, without the data points, or none."
    )
    chart_formats: tuple[ChartFormat, ...] = Field(
        default=("vega-lite", "plotly", "png"),
        description="Formats of charts that may leave; `png` and `svg` only `with_data`.",
    )
    chart_points: int = Field(
        default=10_000, ge=1, description="Data points of a chart whose format tells them, `vega-lite` or `plotly`."
    )

    @property
    def charts_out(self) -> tuple[ChartFormat, ...]:
        """The formats in which charts may leave at all."""
        if self.charts == "off":
            return ()
        drawn = {"png", "svg"} if self.charts == "spec_only" else set[str]()
        return tuple(name for name in dict.fromkeys(self.chart_formats) if name not in drawn)


class PythonInputs(_Model):
    """Caps on what programs get to see: each row was masked before, and no program can tell more than it got."""

    max_rows: int = Field(default=100_000, ge=1, description="Rows of one input of a program.")
    max_bytes: int = Field(default=67_108_864, ge=1024, description="Bytes of all inputs of a job, as Arrow data.")


class Policy(_Model):
    """What may leave a site, and in which form. The first matching rule wins; `default` is required."""

    version: Literal[1] = Field(description="Version of this file's format.")
    default: Literal["redact", "keep", "refuse"] = Field(
        description="What happens to a column that no rule names; `refuse` hides the column."
    )
    keys: Keys = Keys()
    tables: Tables = Tables()
    subjects: dict[str, str] = Field(
        default_factory=dict,
        description="Globs over source.schema.table, each with the column that tells people apart.",
    )
    min_group_size: int = Field(
        default=1, ge=1, le=1_000_000, description="People that every group of `subjects` must have; 1 is off."
    )
    tags: dict[str, tuple[Pattern, ...]] = Field(
        default_factory=dict, description="Columns by tag: lists of globs over source.schema.table.column, or regexes."
    )
    tags_from_comments: bool = Field(
        default=False, description="Whether `#tag` and `[tag]` in a column's comment count too; never for `keep`."
    )
    rules: tuple[ColumnRule, ...] = Field(default=(), description="First match wins.")
    release: Release = Release()
    python_inputs: PythonInputs = PythonInputs()
    catalog: CatalogShown = CatalogShown()

    @field_validator("subjects")
    @classmethod
    def _three_parts(cls, subjects: dict[str, str]) -> dict[str, str]:
        for pattern, key in subjects.items():
            check_glob(pattern, TABLE_PARTS, _SHAPE)
            if not key or "\0" in key:
                raise ValueError("each pattern needs the name of a column")
        return subjects

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.min_group_size > 1 and not self.subjects:
            raise ValueError("min_group_size counts nobody without subjects: add them")
        for line in self.rules:
            if line.tag is not None and line.tag not in self.tags and not self.tags_from_comments:
                raise ValueError("rules name a tag that is not in tags")
            if isinstance(line.rule, Token):
                self._check_key(line.rule)
        return self

    def _check_key(self, rule: Token) -> None:
        if self.keys.token is None:
            raise ValueError("a rule uses token: set keys.token to a secret reference")
        if rule.key == "previous" and self.keys.token_previous is None:
            raise ValueError("a rule uses the previous key of token: set keys.token_previous to a secret reference")

    @property
    def counts(self) -> bool:
        """Whether rows of `subjects` leave only in groups."""
        return self.min_group_size > 1

    def may_read(self, catalog: Catalog, relation: Relation) -> bool:
        """Whether jobs may name this relation."""
        allowed = any_matches(self.tables.allow, (parts_of(catalog.source, relation),))
        return allowed and not self.hides(catalog, relation)

    def hides(self, catalog: Catalog, relation: Relation) -> bool:
        """Whether the relation may not be read, also beneath a view.

        Denied ones, partitions of denied ones; and what holds rows of its own that no view's definition masks, unless
        the officer named that very relation.
        """
        if any_matches(self.tables.deny, family(catalog, relation)):
            return True
        if relation.kind not in {"materialized", "foreign"}:
            return False
        parts = parts_of(catalog.source, relation)
        return not any(is_plain(glob.split(".")[-1]) and matches(glob, parts) for glob in self.tables.allow)

    def subjects_of(self, catalog: Catalog, relation: Relation) -> tuple[tuple[str, str], ...]:
        """The globs of `subjects` that name this relation, each with its column; none: its rows are not counted."""
        if not self.counts:
            return ()
        paths = family(catalog, relation)
        return tuple((glob, key) for glob, key in self.subjects.items() if any_matches((glob,), paths))

    def lines_of(self, catalog: Catalog, relation: Relation) -> Lines[ColumnRule]:
        """The lines of `rules` that may name a column of this relation."""
        return lines_of(self.rules, catalog, relation, Tags(self.tags, self.tags_from_comments))

    def decide(self, column: Column, lines: Lines[ColumnRule], roles: Sequence[str]) -> Rule | None:
        """The rule for a column of the relation that `lines` are of; None hides the column."""
        line = lines.naming(column)
        if line is None:
            return _DEFAULTS[self.default]
        return _KEEP if set(line.unless_roles) & set(roles) else line.rule

    def rule_for(self, path: tuple[str, str, str, str], roles: Sequence[str], type_text: str = "") -> Rule | None:
        """The rule for a table's column by (source, schema, table, column); None hides the column."""
        column = Column(path[3], type_text)
        relation = Relation(path[1], path[2], (column,))
        return self.decide(column, self.lines_of(Catalog(path[0], "", "", (relation,)), relation), roles)
