"""The only statement that may run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.core.job import ParameterValue
from agent.core.table import Disclosure


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedPlan:
    """A statement that was masked, written, read back and guarded again. Made only by `agent.masking.rewrite.rewrite`.

    `sql` is the engine's text with `$name` (DuckDB) or `:name` (SQLite) placeholders; `parameters` bind them. Where
    the dialect says `inline_parameters`, the text holds the values as literals and `parameters` is empty.
    `variables` are session values that the engine must hold before its configuration is locked (token pads);
    they never stand in the text. `exempt` are columns of the result that the second net does not look at, by name.
    `unordered`: rows may not be read in the order of an index, where the text cannot say so.
    """

    sql: str
    parameters: Mapping[str, ParameterValue]
    disclosure: Disclosure
    variables: Mapping[str, bytes] = field(default_factory=dict)
    exempt: frozenset[str] = frozenset()
    unordered: bool = False
