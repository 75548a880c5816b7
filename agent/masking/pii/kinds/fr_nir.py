"""`fr_nir`: the number of a person in France's register (numéro de sécurité sociale)."""

from typing import Final

from agent.masking.pii.kind import DIGITS, GAP, Kind, gate, whole, words

_SPEAKS: Final = words("nir", "insee", "secu", "num[a-z]*[ _-]?secu[a-z]*", "securite[ _-]?sociale")
_FORM: Final = (
    f"[1-478]{GAP}?[0-9]{{2}}{GAP}?[0-9]{{2}}{GAP}?(?:[0-9]{{2}}|2[ABab])(?:{GAP}?[0-9]{{3}}){{2}}{GAP}?[0-9]{{2}}"
)
_MODULUS: Final = 97
_MONTHS: Final = frozenset({*range(1, 13), *range(20, 43), *range(50, 100)})
"""1 to 12, and what stands in for a month that is not known."""


def _valid(written: str) -> bool:
    plain = "".join(c for c in written.upper() if c.isalnum())
    number = int(plain[:13].replace("2A", "19").replace("2B", "18")) if plain[6] in "AB" else int(plain[:13])
    return int(plain[3:5]) in _MONTHS and _MODULUS - number % _MODULUS == int(plain[13:])


FR_NIR = Kind(
    name="fr_nir",
    about="15 characters with a right key (mod 97), Corsica included.",
    first=DIGITS,
    gate=gate(_FORM),
    spans=whole(_FORM, _valid, after="(?![0-9])"),
    speaks=_SPEAKS,
    number=lambda value: _valid(str(value)),
    bounds=((10**14, 5 * 10**14 - 1), (7 * 10**14, 9 * 10**14 - 1)),
)
