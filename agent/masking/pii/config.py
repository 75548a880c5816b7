"""`release.pii_net` of the policy -> what the second net looks for, and what it does with a hit."""

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, field_validator, model_validator
from typing_extensions import override

from agent.masking.patterns import COLUMN_PARTS, check_glob
from agent.masking.pii.kinds import KINDS, USUAL

Action = Literal["off", "mask", "drop_row", "refuse", "report"]


def _known(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"a kind is one of {', '.join(KINDS)}")
    return name


_Name = Annotated[str, AfterValidator(_known), WithJsonSchema({"enum": sorted(KINDS), "type": "string"})]


class PiiNet(BaseModel):
    """The long form of `release.pii_net`; the short form is the action alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    action: Action = Field(default="off", description="What happens to what is found; `report` only counts it.")
    kinds: tuple[_Name, ...] = Field(default=USUAL, description="What is looked for.")
    actions: dict[_Name, Action] = Field(
        default_factory=dict, description="Another action for a kind, also for one that `kinds` leaves out."
    )
    numbers: bool = Field(default=True, description="Look at columns of whole numbers too, for card numbers above all.")
    exempt: tuple[str, ...] = Field(
        default=(), description="Columns that are not looked at: globs over source.schema.table.column."
    )

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, written: Any) -> Any:
        return {"action": written} if isinstance(written, str) else written

    @field_validator("exempt")
    @classmethod
    def _four_parts(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            check_glob(pattern, COLUMN_PARTS, "source.schema.table.column")
        return patterns

    @classmethod
    @override
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Both forms, for editors."""
        reference = handler(core_schema)
        long = cast("dict[str, Any]", handler.resolve_ref_schema(reference))
        if "anyOf" not in long:
            kept = dict(long)
            long.clear()
            long |= {"anyOf": [{"enum": kept["properties"]["action"]["enum"], "type": "string"}, kept]}
        return cast("dict[str, Any]", reference)

    def effective(self) -> dict[str, Action]:
        """Kind -> what happens to a hit, in the order in which kinds take precedence; without what is off."""
        wanted = dict.fromkeys(self.kinds, self.action) | self.actions
        return {name: wanted[name] for name in KINDS if wanted.get(name, "off") != "off"}
