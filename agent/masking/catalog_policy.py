"""The block `catalog` of the policy: what beyond names, types and keys a catalog job may tell."""

from pydantic import BaseModel, ConfigDict, Field


class CatalogShown(BaseModel):
    """What a description of a source may hold beyond names, types, keys and masks."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    comments: bool = Field(
        default=True, description="Comments of relations and columns, as data: 200 characters, no control characters."
    )
    row_counts: bool = Field(
        default=True,
        description="The engine's estimate of a table's rows as a power of ten; none below `min_group_size` and 10.",
    )
    null_fractions: bool = Field(
        default=True, description="The engine's estimate of the share of nulls, in five bands; only of `keep` columns."
    )
    enum_values: bool = Field(
        default=False,
        description="Values of enumerated types that occur at least `min_group_size`, and 10, times; only of `keep` "
        "columns. They are counted, which reads the table.",
    )
