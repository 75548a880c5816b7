"""`nl_bsn`: the citizen service number of the Netherlands."""

from typing import Final

from agent.masking.pii.kind import DIGITS, Kind, digits, gate, grouped, spoken_gate, spoken_of, words

_PARTS: Final = ("bsn", "burgerservice[ _-]?(?:nummer|nr)?", "sofi[ _-]?(?:nummer|nr)?")
_SPEAKS: Final = words(*_PARTS)
_LENGTH: Final = 9
_MODULUS: Final = 11


def _valid(number: str) -> bool:
    """The eleven-test: weights 9 to 2, and -1 for the last digit."""
    weights = (*range(_LENGTH, 1, -1), -1)
    return int(number) > 0 and sum(w * int(d) for w, d in zip(weights, number, strict=True)) % _MODULUS == 0


NL_BSN = Kind(
    name="nl_bsn",
    about="9 digits that pass the eleven-test; as one in eleven does, only where the column or words before say so.",
    first=DIGITS,
    gate=spoken_gate(_PARTS),
    spans=spoken_of(grouped(_LENGTH, _LENGTH, _valid), _SPEAKS),
    speaks=_SPEAKS,
    named_gate=gate(digits(_LENGTH)),
    number=lambda value: _valid(f"{value:09d}"),
    bounds=((10**7, 10**9 - 1),),
)
