"""`es_dni`: the identity number of a person in Spain (DNI, NIE)."""

from typing import Final

from agent.masking.pii.kind import DIGITS, Kind, gate, whole

_FORM: Final = "(?i:[XYZ][ -]?[0-9]{7}|[0-9]{2}[.]?[0-9]{3}[.]?[0-9]{3})[ -]?[A-HJ-NP-TV-Za-hj-np-tv-z]"
_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"


def _valid(written: str) -> bool:
    plain = "".join(c for c in written.upper() if c.isalnum())
    number = int(plain[:-1].translate({ord("X"): "0", ord("Y"): "1", ord("Z"): "2"}))
    return number > 0 and _LETTERS[number % len(_LETTERS)] == plain[-1]


ES_DNI = Kind(
    name="es_dni",
    about="8 digits and the right letter; for foreigners X, Y or Z, 7 digits and the right letter.",
    first=DIGITS,
    gate=gate(_FORM),
    spans=whole(_FORM, _valid),
)
