"""policy.yaml -> `Policy`: which column gets which rule, for whom; the security officer's file."""

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agent.masking.rules import AnyRule, Rule
from agent.masking.rules.keep import Keep
from agent.masking.rules.redact import Redact

_NOT_YET = "is not supported by this version; remove it"
_COLUMN_PARTS, _TABLE_PARTS = 4, 3


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _globs(patterns: Sequence[str], parts: int, shape: str) -> None:
    for pattern in patterns:
        if len(pattern.split(".")) != parts or not all(pattern.split(".")):
            raise ValueError(f"a pattern has {parts} parts: {shape}")


class Keys(_Model):
    """Secret references for keyed rules."""

    token: str | None = Field(default=None, description="Secret reference of the key of `token`, at least 32 bytes.")


class Tables(_Model):
    """Which relations jobs may read at all."""

    allow: tuple[str, ...] = Field(default=("*.*.*",), description="Globs over source.schema.table.")
    deny: tuple[str, ...] = Field(default=(), description="Globs that win over allow, also beneath views.")

    @field_validator("allow", "deny")
    @classmethod
    def _three_parts(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        _globs(patterns, _TABLE_PARTS, "source.schema.table")
        return patterns


class ColumnRule(_Model):
    """One line of `rules`."""

    match: str = Field(description="Glob over source.schema.table.column, without regard to case.")
    rule: AnyRule = Field(description="What happens to the column.")
    unless_roles: tuple[str, ...] = Field(default=(), description="A requester with one of these roles sees the value.")

    @field_validator("match")
    @classmethod
    def _four_parts(cls, pattern: str) -> str:
        _globs((pattern,), _COLUMN_PARTS, "source.schema.table.column")
        return pattern


class Release(_Model):
    """Caps on what leaves. The job's and the site's limits apply too; the smallest counts."""

    max_rows: int = Field(default=10_000, ge=1, description="Rows of a result.")
    max_bytes: int = Field(default=33_554_432, ge=1024, description="Bytes of a result's Arrow data.")
    require_aggregate: bool = Field(default=False, description="Only grouped results leave. Not supported yet.")
    pii_net: Literal["off", "mask", "drop_row", "refuse", "report"] = Field(
        default="off", description="Second net over text columns of results. Only `off` is supported yet."
    )

    @model_validator(mode="after")
    def _built(self) -> Self:
        if self.require_aggregate:
            raise ValueError(f"require_aggregate {_NOT_YET}")
        if self.pii_net != "off":
            raise ValueError(f"pii_net other than off {_NOT_YET}")
        return self


class Policy(_Model):
    """What may leave a site, and in which form. The first matching rule wins; `default` is required."""

    version: Literal[1] = Field(description="Version of this file's format.")
    default: Literal["redact", "keep", "refuse"] = Field(
        description="What happens to a column that no rule names; `refuse` hides the column."
    )
    keys: Keys = Keys()
    tables: Tables = Tables()
    subjects: dict[str, str] = Field(default_factory=dict, description="Whose rows a group counts. Not supported yet.")
    min_group_size: int = Field(default=1, ge=1, description="Only 1 (off) is supported yet.")
    rules: tuple[ColumnRule, ...] = Field(default=(), description="First match wins.")
    release: Release = Release()

    @model_validator(mode="after")
    def _built(self) -> Self:
        if self.subjects:
            raise ValueError(f"subjects {_NOT_YET}")
        if self.min_group_size != 1:
            raise ValueError(f"min_group_size above 1 {_NOT_YET}")
        if self.uses_tokens() and self.keys.token is None:
            raise ValueError("a rule uses token: set keys.token to a secret reference")
        return self

    def uses_tokens(self) -> bool:
        """Whether a rule needs the token key."""
        return any(line.rule.rule == "token" for line in self.rules)

    def may_read(self, source: str, schema: str, table: str) -> bool:
        """Whether jobs may name this relation."""
        parts = (source.casefold(), schema.casefold(), table.casefold())
        return any(_matches(glob, parts) for glob in self.tables.allow) and not self.denies(source, schema, table)

    def denies(self, source: str, schema: str, table: str) -> bool:
        """Whether the relation is denied outright, also beneath a view."""
        parts = (source.casefold(), schema.casefold(), table.casefold())
        return any(_matches(glob, parts) for glob in self.tables.deny)

    def lines_on(self, source: str, schema: str, table: str) -> tuple[ColumnRule, ...]:
        """The lines of `rules` that may name a column of this relation, in their order."""
        parts = (source.casefold(), schema.casefold(), table.casefold())
        return tuple(line for line in self.rules if _matches(line.match, parts))

    def decide(self, column: str, lines: Sequence[ColumnRule], roles: Sequence[str]) -> Rule | None:
        """The rule for a column of the relation that `lines` are of; None hides the column."""
        line = first_naming(column, lines)
        if line is None:
            return {"redact": Redact(), "keep": Keep(), "refuse": None}[self.default]
        return Keep() if set(line.unless_roles) & set(roles) else line.rule

    def rule_for(self, path: tuple[str, str, str, str], roles: Sequence[str]) -> Rule | None:
        """The rule for (source, schema, table, column); None hides the column."""
        return self.decide(path[3], self.lines_on(*path[:3]), roles)


def first_naming(column: str, lines: Sequence[ColumnRule]) -> ColumnRule | None:
    """The first of the relation's lines that names the column, whoever asks."""
    part = column.casefold()
    return next((line for line in lines if _matches_part(_segments(line.match)[-1], part)), None)


@lru_cache(maxsize=4096)
def _segments(glob: str) -> tuple["re.Pattern[str] | str | None", ...]:
    """A pattern, a plain word, or None for whatever there is, for each part of a name."""
    return tuple(
        None if segment == "*" else re.compile(translate(segment)) if set(segment) & set("*?[") else segment
        for segment in glob.casefold().split(".")
    )


def _matches(glob: str, parts: Sequence[str]) -> bool:
    """Whether the glob's first segments match the parts, which are casefolded."""
    return all(map(_matches_part, _segments(glob), parts))


def _matches_part(segment: "re.Pattern[str] | str | None", part: str) -> bool:
    if segment is None or isinstance(segment, str):
        return segment is None or segment == part
    return segment.match(part) is not None
