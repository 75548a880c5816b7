"""(a worker's parcel, its file) -> fit to be signed, or not: the worker ran untrusted text and is not believed."""

from dataclasses import dataclass
from typing import BinaryIO

from pydantic import ValidationError

from agent.core.codes import CODES
from agent.core.outcome import Parcel
from agent.wire import sealing
from agent.wire.errors import WireError

_MIB = 1 << 20
_NO_HASH = "0" * 64


class UntrueError(Exception):
    """The worker's report does not match its order or its file. `what` names what differs, never its value."""

    def __init__(self, what: str) -> None:
        """Args: the name of the field or check."""
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the service ordered. `max_bytes` caps all sealed parts together."""

    job_id: str
    job_digest: str
    result_id: str
    attempt: int
    recipient: str
    policy_version: int
    policy_sha256: str
    isolation: str
    max_bytes: int


def check(parcel: Parcel, parts: BinaryIO, expected: Expected) -> None:
    """Read the whole file and compare. Raises UntrueError, OSError."""
    for name in ("job_id", "job_digest", "result_id", "attempt", "recipient"):
        _same(name, getattr(parcel, name), getattr(expected, name))
    for name in ("policy_version", "policy_sha256", "isolation"):
        _same(name, getattr(parcel, name), getattr(expected, name))
    code = CODES.get(parcel.code)
    _same("code", parcel.outcome, None if code is None else code.outcome)
    _check_form(parcel)
    if sum(part.size for part in parcel.parts) > expected.max_bytes:
        raise UntrueError("size")
    parts.seek(0)
    try:
        sealing.check_parts(parcel.parts, parts)
    except WireError:
        raise UntrueError("parts") from None


def _same(name: str, said: object, ordered: object) -> None:
    if type(said) is not type(ordered) or said != ordered:
        raise UntrueError(name)


def _check_form(parcel: Parcel) -> None:
    """Whether it could be signed at all: every bound of the manifest."""
    try:
        sealing.manifest(parcel, audit_seq=0, audit_hash=_NO_HASH)
    except (ValidationError, WireError, ValueError):
        raise UntrueError("manifest") from None
