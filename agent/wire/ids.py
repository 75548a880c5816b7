"""Unix seconds -> ULID: 48 bits of milliseconds, 80 random bits, Crockford base32 (github.com/ulid/spec)."""

import re
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PATTERN = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_LENGTH = 26
_RANDOM_BITS = 80
_ULID = re.compile(PATTERN.strip("^$"), re.ASCII)


def new_ulid(now: float) -> str:
    """A fresh id for the time `now` (Unix seconds). Raises ValueError when the time does not fit 48 bits of ms."""
    milliseconds = int(now * 1000)
    if not 0 <= milliseconds < 1 << 48:
        raise ValueError("the time of an id must lie between 1970 and 10889")
    number = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))


def is_ulid(text: object) -> bool:
    """Whether `text` is a ULID in its one canonical spelling: upper case, no I L O U, at most 128 bits."""
    return isinstance(text, str) and _ULID.fullmatch(text) is not None
