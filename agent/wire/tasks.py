"""The published tasks that ask one source: rows of a statement, and what a source holds."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from typing_extensions import override

from agent.core.job import CatalogTask, Format, SourceName, SqlTask
from agent.wire.fields import PARAMETER_PATTERN, Model, SourceText

MAX_PAYLOAD_BYTES = 1024 * 1024
_MAX_INT = 2**63

ParameterName = Annotated[str, Field(pattern=PARAMETER_PATTERN, max_length=63)]
ParameterText = Annotated[str, Field(max_length=MAX_PAYLOAD_BYTES)]
ParameterInt = Annotated[int, Field(ge=-_MAX_INT, lt=_MAX_INT)]


def _not_an_integer(value: object) -> object:
    if isinstance(value, int):
        raise ValueError("an integer is outside its bounds")  # noqa: TRY004  pydantic reports ValueErrors with their place
    return value


# A float would otherwise take, and round, the integers that ParameterInt refuses.
ParameterFloat = Annotated[float, BeforeValidator(_not_an_integer)]
ParameterModel = ParameterText | ParameterInt | ParameterFloat | bool | None
RelationGlob = Annotated[str, Field(pattern=r"^[^.]{1,255}\.[^.]{1,255}$", max_length=511)]


class SqlInputModel(Model):
    """One statement against one source; `parameters` bind `:name`."""

    kind: Literal["sql"]
    source: SourceText
    statement: Annotated[str, Field(max_length=MAX_PAYLOAD_BYTES)]
    parameters: Annotated[dict[ParameterName, ParameterModel], Field(max_length=1024)] = Field(default_factory=dict)

    def sources(self) -> tuple[str, ...]:
        """Every source that the task reads: the signing key needs a grant for each."""
        return (self.source,)

    def plain(self) -> SqlTask:
        """The task as the line carries it."""
        return SqlTask(
            source=SourceName(self.source), statement=self.statement, parameters=dict(self.parameters), format="arrow"
        )


class SqlTaskModel(SqlInputModel):
    """One statement against one source; `parameters` bind `:name`."""

    format: Format = "arrow"

    @override
    def plain(self) -> SqlTask:
        """The task as the line carries it."""
        return SqlTask(
            source=SourceName(self.source),
            statement=self.statement,
            parameters=dict(self.parameters),
            format=self.format,
        )


class CatalogTaskModel(Model):
    """What a source holds, as far as the policy shows it: names, types, keys and masks; no row.

    `relations` are globs over `schema.relation`, without regard to case; none of them asks for all.
    """

    kind: Literal["catalog"]
    source: SourceText
    relations: Annotated[tuple[RelationGlob, ...], Field(max_length=256, strict=False)] = ()
    format: Literal["json"] = "json"

    def sources(self) -> tuple[str, ...]:
        """The one source that is described."""
        return (self.source,)

    def plain(self) -> CatalogTask:
        """The task as the line carries it."""
        return CatalogTask(source=SourceName(self.source), relations=self.relations)
