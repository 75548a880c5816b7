"""`MaskedPlan.variables` -> the two halves of each, checked: they become words of the engine's own text."""

import re
from collections.abc import Mapping
from typing import Final

_HALF: Final = 64
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,61}", re.ASCII)


def halves(variables: Mapping[str, bytes]) -> dict[str, tuple[bytes, bytes]]:
    """Name -> inner and outer pad of HMAC-SHA256, 64 bytes each. Raises ValueError for any other shape, a defect."""
    for name, pads in variables.items():
        if not _NAME.fullmatch(name) or len(pads) != 2 * _HALF:
            raise ValueError("a plan's variable is not a plain name with two pads of 64 bytes")
    return {name: (pads[:_HALF], pads[_HALF:]) for name, pads in variables.items()}
