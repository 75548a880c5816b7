"""`de_steuer_id`: the tax identification number of a person in Germany."""

from collections import Counter
from typing import Final

from agent.masking.pii.kind import DIGITS, Kind, digits, gate, grouped, words

_LENGTH: Final = 11
_MODULUS: Final = 10
_SPEAKS: Final = words("steuer[ _-]?id[a-z]*", "steuer[ _-]?nr", "steuer[ _-]?nummer", "idnr", "tax[ _-]?id")


def _valid(number: str) -> bool:
    """One digit twice or three times among the first ten, and ISO 7064, MOD 11,10."""
    counts = sorted(Counter(number[:10]).values(), reverse=True)
    return number[0] != "0" and counts[0] in {2, 3} and set(counts[1:]) == {1} and _checked(number)


def _checked(number: str) -> bool:
    product = _MODULUS
    for digit in number[:10]:
        total = (int(digit) + product) % _MODULUS or _MODULUS
        product = total * 2 % _LENGTH
    return (_LENGTH - product) % _MODULUS == int(number[10])


DE_STEUER_ID = Kind(
    name="de_steuer_id",
    about="11 digits with a right check digit.",
    first=DIGITS,
    gate=gate(digits(_LENGTH)),
    spans=grouped(_LENGTH, _LENGTH, _valid),
    speaks=_SPEAKS,
    number=lambda value: _valid(str(value)),
    bounds=((10**10, 10**11 - 1),),
)
