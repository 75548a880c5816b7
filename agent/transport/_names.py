"""File names from strangers -> names that are safe to keep, to print and to put into JSON."""

import itertools
import os
import re
from collections.abc import Iterator
from hashlib import sha256

JOB_SUFFIX = ".mjob"
REASON_SUFFIX = ".reason.json"

_MAX_NAME_BYTES = 255
_MAX_STEM_BYTES = 200
_MAX_EXTENSION = 16
_CLAIMED = re.compile(r"\.(?P<name>.+)\.claimed", re.DOTALL)


def is_job_name(name: str) -> bool:
    """Whether `name` is `<id>.mjob`: printable, valid UTF-8, not hidden."""
    return name.endswith(JOB_SUFFIX) and name != JOB_SUFFIX and not name.startswith(".") and name.isprintable()


def job_name(name: str) -> str | None:
    """The job file's name behind an entry of the inbox, also while it is being carried over; None for foreign ones."""
    if is_job_name(name):
        return name
    claimed = _CLAIMED.fullmatch(name)
    return claimed["name"] if claimed and is_job_name(claimed["name"]) else None


def claimed_name(name: str) -> str:
    """What a job file is called in the inbox while it is carried to another volume."""
    return f".{name}.claimed"


def shown(name: str) -> str:
    """The name as valid Unicode without control characters; bytes that are neither stand as escapes."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def filed_as(name: str) -> tuple[str, str]:
    """Stem and extension under which an entry is kept: printable, not hidden, with room for a reason file's name."""
    text = os.fsencode(name).decode("utf-8", "replace")
    text = "".join(c if c.isprintable() and c != "\N{REPLACEMENT CHARACTER}" else "_" for c in text)
    stem, dot, extension = text.rpartition(".")
    if not stem or len(extension.encode()) > _MAX_EXTENSION:
        stem, dot, extension = text, "", ""
    if stem.startswith("."):
        stem = "_" + stem[1:]
    if len(stem.encode()) > _MAX_STEM_BYTES:
        short = stem.encode()[:_MAX_STEM_BYTES].decode("utf-8", "ignore")
        stem = f"{short}~{sha256(os.fsencode(name)).hexdigest()[:8]}"
    return stem, dot + extension


def numbered(stem: str) -> Iterator[str]:
    """`stem`, `stem-2`, `stem-3`, …: for names that are taken."""
    yield stem
    for number in itertools.count(2):
        yield f"{stem}-{number}"
