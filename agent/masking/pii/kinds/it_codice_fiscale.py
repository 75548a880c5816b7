"""`it_codice_fiscale`: the tax code of a person in Italy."""

from typing import Final

from agent.masking.pii.kind import Kind, gate, whole

_DIGIT: Final = "[0-9L-NP-V]"
_FORM: Final = f"(?i:[A-Z]{{6}}{_DIGIT}{{2}}[A-EHLMPR-T]{_DIGIT}{{2}}[A-Z]{_DIGIT}{{3}}[A-Z])"
_OF_TEN: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_OF_LETTERS: Final = (*_OF_TEN, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_ODD: Final = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", _OF_TEN + _OF_LETTERS, strict=True))
_EVEN: Final = {c: i for i, c in enumerate("0123456789")} | {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}


def _valid(written: str) -> bool:
    """The check character of the decree of 23 December 1976."""
    code = written.upper()
    total = sum((_ODD if place % 2 == 0 else _EVEN)[c] for place, c in enumerate(code[:-1]))
    return total % 26 == _EVEN[code[-1]]


IT_CODICE_FISCALE = Kind(
    name="it_codice_fiscale",
    about="16 characters with a right check character.",
    first=_FORM,
    gate=gate(_FORM),
    spans=whole(_FORM, _valid),
)
