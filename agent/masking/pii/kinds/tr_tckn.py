"""`tr_tckn`: the identity number of a person in Turkey."""

from typing import Final

from agent.masking.pii.kind import DIGITS, Kind, gate, whole, words

_SPEAKS: Final = words("tckn", "tc[ _-]?kimlik[a-z_]*", "kimlik[ _-]?no", "tc[ _-]?no")
_FORM: Final = "[1-9][0-9]{10}"


def _valid(number: str) -> bool:
    """Two check digits, the tenth and the eleventh."""
    digits = [int(digit) for digit in number]
    tenth = (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10
    return digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


TR_TCKN = Kind(
    name="tr_tckn",
    about="11 digits with two right check digits.",
    first=DIGITS,
    gate=gate(_FORM),
    spans=whole(_FORM, _valid, after="(?![0-9])"),
    speaks=_SPEAKS,
    number=lambda value: _valid(str(value)),
    bounds=((10**10, 10**11 - 1),),
)
