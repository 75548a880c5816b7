"""`card`: the number of a payment card."""

from typing import Final

from agent.masking.pii.kind import DIGITS, Bounds, Kind, digits, gate, grouped, luhn

_LEAST, _MOST = 12, 19
_LONG: Final = frozenset(range(16, 20))
_ISSUERS: Final[tuple[tuple[int, int, frozenset[int]], ...]] = (
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (300, 305, frozenset({14})),  # Diners Club
    (3095, 3095, frozenset({14})),
    (36, 36, frozenset({14})),
    (38, 39, frozenset({14})),
    (3528, 3589, _LONG),  # JCB
    (6011, 6011, _LONG),  # Discover
    (644, 649, _LONG),
    (65, 65, _LONG),
    (62, 62, _LONG),  # UnionPay
    (81, 82, frozenset({16})),  # RuPay
    (508, 508, frozenset({16})),
    (60, 60, frozenset({16})),
    (2200, 2204, _LONG),  # Mir
    (9792, 9792, frozenset({16})),  # Troy
    (5019, 5019, frozenset({16})),  # Dankort
    *(
        (iin, iin, frozenset(range(12, 20))) for iin in (5018, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763)
    ),  # Maestro
)
"""First digits from, to, and the lengths of the number: ISO/IEC 7812 as the schemes publish their ranges."""
_BEGINNINGS: Final = frozenset(
    str(pair)
    for pair in range(10, 100)
    for low, high, _ in _ISSUERS
    if int(f"{low:<02}"[:2]) <= pair <= (high * 10 + 9 if high < 10 else int(str(high)[:2]))  # noqa: PLR2004
)
"""The first two digits of all of them."""
_IN_NUMBERS: Final = frozenset({14, 15, 16})
"""Shorter and longer whole numbers are far more often keys of a table."""


def _valid(number: str) -> bool:
    return number[:2] in _BEGINNINGS and luhn(number) and _issued(number)


def _issued(number: str) -> bool:
    return any(
        len(number) in lengths and low <= int(number[: len(str(low))]) <= high for low, high, lengths in _ISSUERS
    )


def _bounds() -> Bounds:
    ranges = {
        (low * 10 ** (length - len(str(low))), (high + 1) * 10 ** (length - len(str(high))) - 1)
        for low, high, lengths in _ISSUERS
        for length in lengths & _IN_NUMBERS
    }
    return tuple(sorted(ranges))


CARD = Kind(
    name="card",
    about="12 to 19 digits of a known issuer with a right check digit (Luhn); also in columns of numbers.",
    first=DIGITS,
    gate=gate(digits(_LEAST)),
    spans=grouped(_LEAST, _MOST, _valid),
    number=lambda value: _valid(str(value)),
    bounds=_bounds(),
)
