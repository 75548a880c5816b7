"""A misspelt name -> the name that was meant, or nothing."""

import difflib
from collections.abc import Iterable

_CLOSE = 0.7


def meant(written: str, known: Iterable[str]) -> str | None:
    """The closest of the known names, when one is close enough to be named."""
    options = {_plain(name): name for name in known}
    close = difflib.get_close_matches(_plain(written), options, n=1, cutoff=_CLOSE)
    return options[close[0]] if close else None


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")
