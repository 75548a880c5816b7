"""`gb_nino`: a national insurance number of the United Kingdom."""

from typing import Final

from agent.masking.pii.kind import DIGITS, GAP, Kind, gate, whole

_FORM: Final = f"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]{GAP}?[0-9]{{2}}{GAP}?[0-9]{{2}}{GAP}?[0-9]{{2}}{GAP}?[A-D]"
_UNUSED: Final = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})

GB_NINO = Kind(
    name="gb_nino",
    about="`AB 12 34 56 C` in capitals, with a prefix that is given out.",
    first=DIGITS,
    gate=gate(_FORM),
    spans=whole(_FORM, lambda written: written[:2] not in _UNUSED),
)
