"""`Outcome` -> `Parcel` and sealed parts; manifest and parts -> the outcome again, for the recipient alone."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from pydantic import ValidationError

from agent.core.errors import Fault
from agent.core.job import Digest, JobId
from agent.core.outcome import Completed, Failed, Outcome, Parcel, Part
from agent.core.table import Analysis, Document, Masked, Printed
from agent.wire import strictjson
from agent.wire.errors import JsonError, ResultError, WireError
from agent.wire.fields import explain
from agent.wire.keys import OpeningKey, RecipientKey, decode_base64url, encode_base64url
from agent.wire.models import (
    MAX_PARTS,
    PART_BYTES,
    AuditHeadModel,
    ColumnModel,
    ManifestModel,
    OutcomeModel,
    ParcelModel,
    PolicyModel,
)
from agent.wire.outcomes import disclosure_digest, outcome_model
from agent.wire.payload import OUTCOME_NAME, RESULT_NAME, STDERR_NAME, STDOUT_NAME, PayloadWriter, read_payload
from agent.wire.streams import read_upto, write_all

CONTEXT = b"meridyen-result+v1"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_KEY_BITS = 256
_NONCE_BYTES = 12
_WORD = 4
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealContext:
    """What a result is bound to. `job_digest` is the SHA-256 of the envelope; `attempt` counts from 1.

    `max_bytes` caps the sealed parts; see `max_sealed_bytes`.
    """

    job_id: str
    job_digest: str
    result_id: str
    attempt: int
    policy_version: int
    policy_sha256: str
    isolation: str
    recipient: RecipientKey
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A result in the clear: its outcome, and its data members by name as (media type, bytes)."""

    outcome: OutcomeModel
    members: Mapping[str, tuple[str, bytes]]


def max_sealed_bytes(limit_bytes: int) -> int:
    """How much a result may hold at rest, when its rows may hold `limit_bytes` of Arrow data.

    Text formats write more than Arrow holds: four times and some room for short results. The worker ends a job that
    needs more as limit.bytes; the service does not sign what is larger all the same.
    """
    return 4 * limit_bytes + 16 * 2**20


def seal(outcome: Outcome, *, context: SealContext, sink: BinaryIO) -> Parcel:
    """Write framed sealed parts to `sink` (u32 length, ciphertext) under a fresh key; at most one part is in memory.

    The rows of a `Completed` are consumed here: what their iterator raises comes out, and the sink is then worthless.
    Raises Fault(limit.bytes) beyond 64 GiB, and beyond the context's `max_bytes`.
    """
    sealer = _Sealer(context.result_id, sink, context.max_bytes)
    writer = PayloadWriter(sealer.write)
    columns = _write_result(outcome.result, writer) if isinstance(outcome, Completed) else ()
    if isinstance(outcome, Failed) and outcome.printed is not None:
        _write_printed(outcome.printed, writer)
    policy = PolicyModel(version=context.policy_version, sha256=context.policy_sha256)
    model = outcome_model(outcome, columns, policy)
    with writer.member(OUTCOME_NAME, _JSON) as take:
        take(strictjson.dumps(model.model_dump(mode="json")))
    writer.finish()
    sealer.finish()
    return Parcel(
        job_id=JobId(context.job_id),
        job_digest=Digest(context.job_digest),
        result_id=context.result_id,
        attempt=context.attempt,
        outcome=model.outcome,
        code=model.code,
        media_types=tuple(writer.media_types),
        parts=tuple(sealer.parts),
        policy_version=context.policy_version,
        policy_sha256=context.policy_sha256,
        isolation=context.isolation,
        disclosure_sha256=disclosure_digest(model.disclosure),
        recipient=context.recipient.kid,
        sealed_key=_SUITE.encrypt(
            sealer.key, context.recipient.handle, info=_info(context.result_id, context.job_digest)
        ),
    )


def manifest(parcel: Parcel, *, audit_seq: int, audit_hash: str) -> ManifestModel:
    """The manifest to be signed: the parcel, and the end of the audit chain (record number, hash in hex)."""
    head = AuditHeadModel(seq=audit_seq, hash=audit_hash)
    return ManifestModel.model_validate({**parcel_to_json(parcel), "audit_head": head})


def parcel_to_json(parcel: Parcel) -> dict[str, object]:
    """The parcel as JSON values, for the pipe between worker and service."""
    return {
        "job_id": parcel.job_id,
        "job_digest": parcel.job_digest,
        "result_id": parcel.result_id,
        "attempt": parcel.attempt,
        "outcome": parcel.outcome,
        "code": parcel.code,
        "media_types": list(parcel.media_types),
        "parts": [{"sha256": part.sha256, "size": part.size} for part in parcel.parts],
        "policy_version": parcel.policy_version,
        "policy_sha256": parcel.policy_sha256,
        "isolation": parcel.isolation,
        "disclosure_sha256": parcel.disclosure_sha256,
        "recipient": parcel.recipient,
        "sealed_key": encode_base64url(parcel.sealed_key),
    }


def parcel_from_json(value: object) -> Parcel:
    """The reverse of `parcel_to_json`, with every bound of the manifest checked. Raises WireError."""
    try:
        model = ParcelModel.model_validate(value)
    except ValidationError as error:
        raise WireError(f"not a parcel: {explain(error)}") from None
    members = dict(model)
    members["parts"] = tuple(Part(Digest(part.sha256), part.size) for part in model.parts)
    members["sealed_key"] = _sealed_key(model)
    return Parcel(**members)


def check_parts(parts: Iterable[Part], stream: BinaryIO) -> None:
    """Whether `stream` holds exactly these framed parts; needs no key. Raises ResultError."""
    for _ in _framed(((part.sha256, part.size) for part in parts), stream):
        pass


def open_result(manifest: ManifestModel, parts: BinaryIO, key: OpeningKey, *, job_digest: str | None = None) -> Opened:
    """The outcome and data members of a result whose manifest was verified.

    Pass the `job_digest` of the job that was sent, so that another job's result is refused. Raises ResultError.
    """
    if manifest.recipient != key.kid:
        raise ResultError("the result is sealed to another key")
    if job_digest is not None and manifest.job_digest != job_digest:
        raise ResultError("the result answers another job")
    members = read_payload(_open_parts(manifest, parts, _content_key(manifest, key)))
    outcome, disclosure = _read_outcome(members[-1].data if members and members[-1].name == OUTCOME_NAME else b"")
    said = (outcome.outcome, outcome.code, disclosure, outcome.policy)
    policy = PolicyModel(version=manifest.policy_version, sha256=manifest.policy_sha256)
    if said != (manifest.outcome, manifest.code, manifest.disclosure_sha256, policy):
        raise ResultError("the manifest and the sealed outcome contradict each other")
    if tuple(member.media_type for member in members) != manifest.media_types:
        raise ResultError("the manifest and the sealed members contradict each other")
    return Opened(outcome, {member.name: (member.media_type, member.data) for member in members[:-1]})


class _Sealer:
    """Plaintext -> framed sealed parts. Keeps one part back, because only the last one carries the last flag."""

    def __init__(self, result_id: str, sink: BinaryIO, max_bytes: int | None = None) -> None:
        self.key = AESGCM.generate_key(_KEY_BITS)
        self.parts: list[Part] = []
        self._cipher = AESGCM(self.key)
        self._result_id = result_id
        self._sink = sink
        self._room = max_bytes
        self._buffer = bytearray()

    def write(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) > PART_BYTES:
            self._seal(bytes(memoryview(self._buffer)[:PART_BYTES]), last=False)
            del self._buffer[:PART_BYTES]

    def finish(self) -> None:
        self._seal(bytes(self._buffer), last=True)

    def _seal(self, plain: bytes, *, last: bool) -> None:
        index = len(self.parts)
        if index >= MAX_PARTS:
            raise Fault("limit.bytes", "The result has more parts than the format allows.", "Select less.")
        sealed = self._cipher.encrypt(_nonce(index), plain, _aad(self._result_id, index, last=last))
        if self._room is not None:
            self._room -= len(sealed)
            if self._room < 0:
                raise Fault("limit.bytes", "The result is larger in the asked format than may leave.", "Ask for arrow.")
        write_all(self._sink, len(sealed).to_bytes(_WORD, "big") + sealed)
        self.parts.append(Part(Digest(sha256(sealed).hexdigest()), len(sealed)))


def _nonce(index: int) -> bytes:
    return index.to_bytes(_NONCE_BYTES, "big")


def _aad(result_id: str, index: int, *, last: bool) -> bytes:
    return result_id.encode("ascii") + index.to_bytes(_WORD, "big") + bytes([last])


def _info(result_id: str, job_digest: str) -> bytes:
    return CONTEXT + result_id.encode("ascii") + job_digest.encode("ascii")


def _write_result(result: Masked | Document | Analysis, writer: PayloadWriter) -> tuple[ColumnModel, ...]:
    if isinstance(result, Masked):
        return _write_rows(result, writer)
    if isinstance(result, Analysis):
        return _write_analysis(result, writer)
    with writer.member(f"{result.name}.json", _JSON) as take:
        take(result.data)
    return ()


def _write_analysis(analysis: Analysis, writer: PayloadWriter) -> tuple[ColumnModel, ...]:
    """The result, what was printed, the charts."""
    columns: tuple[ColumnModel, ...] = ()
    if isinstance(analysis.result, Masked):
        columns = _write_rows(analysis.result, writer)
    elif analysis.result is not None:
        with writer.member(RESULT_NAME, _JSON) as take:
            take(analysis.result)
    _write_printed(analysis.printed, writer)
    for output in analysis.outputs:
        with writer.member(output.name, output.media_type) as take:
            take(output.data)
    return columns


def _write_printed(printed: Printed, writer: PayloadWriter) -> None:
    for name, text in ((STDOUT_NAME, printed.stdout), (STDERR_NAME, printed.stderr)):
        if text:
            with writer.member(name, _TEXT) as take:
                take(text.encode("utf-8", "replace"))


def _write_rows(masked: Masked, writer: PayloadWriter) -> tuple[ColumnModel, ...]:
    from agent.wire import frames  # noqa: PLC0415  pyarrow is loaded only where rows are: never in the service

    with writer.member(f"rows.{masked.format}", frames.media_type(masked.format)) as take:
        frames.encode(masked, take)
    return tuple(ColumnModel(**column) for column in frames.columns(masked.schema))


def _sealed_key(parcel: ParcelModel) -> bytes:
    try:
        return decode_base64url(parcel.sealed_key)
    except ValueError:
        raise ResultError("the sealed key is not base64url") from None


def _content_key(manifest: ManifestModel, key: OpeningKey) -> AESGCM:
    info = _info(manifest.result_id, manifest.job_digest)
    try:
        return AESGCM(_SUITE.decrypt(_sealed_key(manifest), key.handle, info=info))
    except (InvalidTag, ValueError):
        raise ResultError("the content key cannot be opened with this key") from None


def _open_parts(manifest: ManifestModel, stream: BinaryIO, cipher: AESGCM) -> bytearray:
    plain = bytearray()
    last = len(manifest.parts) - 1
    sealed_parts = _framed(((part.sha256, part.size) for part in manifest.parts), stream)
    for index, sealed in enumerate(sealed_parts):
        try:
            plain += cipher.decrypt(_nonce(index), sealed, _aad(manifest.result_id, index, last=index == last))
        except InvalidTag:
            raise ResultError(f"part {index} does not belong to this result at this place") from None
    return plain


def _framed(parts: Iterable[tuple[str, int]], stream: BinaryIO) -> Iterator[bytes]:
    for index, (digest, size) in enumerate(parts):
        if read_upto(stream, _WORD) != size.to_bytes(_WORD, "big"):
            raise ResultError(f"part {index} is missing or has another size than the manifest says")
        sealed = read_upto(stream, size)
        if sha256(sealed).hexdigest() != digest:
            raise ResultError(f"part {index} is cut short or was changed")
        yield sealed
    if stream.read(1):
        raise ResultError("there are bytes after the last part")


def _read_outcome(data: bytes) -> tuple[OutcomeModel, str]:
    """The outcome, and the digest of its disclosure exactly as it was sealed."""
    try:
        value = strictjson.loads(data, PART_BYTES * 16)
        outcome = OutcomeModel.model_validate(value)
    except JsonError:
        raise ResultError("the sealed outcome is missing or not strict JSON") from None
    except ValidationError as error:
        raise ResultError(f"the sealed outcome is not of the published schema: {explain(error)}") from None
    disclosure = value.get("disclosure") if isinstance(value, dict) else None
    return outcome, "" if disclosure is None else strictjson.digest(disclosure)
