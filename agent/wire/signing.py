"""Envelope bytes -> `Job`, or `Refuse`; manifest <-> signed manifest."""

from collections.abc import Mapping
from hashlib import sha256

from pydantic import ValidationError

from agent.core.codes import CODES
from agent.core.errors import Refuse
from agent.core.job import Digest, Job, JobId, Me
from agent.wire import ids, jws, strictjson
from agent.wire.errors import (
    EncodingError,
    FormError,
    HeaderError,
    JsonError,
    ManifestError,
    SignatureError,
    SizeError,
    WireError,
)
from agent.wire.fields import explain
from agent.wire.keys import SigningKey, VerifyKey, decode_base64url
from agent.wire.models import KINDS, JobModel, ManifestModel
from agent.wire.tasks import MAX_PAYLOAD_BYTES
from agent.wire.trust import Submitter, TrustStore

JOB_TYPE = "meridyen-job+v1"
RESULT_TYPE = "meridyen-result+v1"
MAX_ENVELOPE_BYTES = 1536 * 1024
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
SKEW_SECONDS = 300


def job_digest(envelope: bytes) -> Digest:
    """Lower-case hexadecimal SHA-256 over the exact bytes of the envelope."""
    return Digest(sha256(envelope).hexdigest())


def sign_job(payload: JobModel, key: SigningKey) -> bytes:
    """The envelope of a job: the bytes of its `.mjob` file. Raises SizeError above 1 MiB of payload."""
    data = strictjson.dumps(payload.model_dump(mode="json"))
    if len(data) > MAX_PAYLOAD_BYTES:
        raise SizeError(f"the payload is larger than {MAX_PAYLOAD_BYTES} bytes")
    return jws.sign(data, key, JOB_TYPE)


def verify(envelope: bytes, trust: TrustStore, me: Me, now: float) -> Job:
    """The job, when a trusted key signed it, may ask for it, and it is meant for `me` at `now` (Unix seconds).

    Raises Refuse with an `envelope.*` code. Nothing of the payload is read before its signature has been checked.
    """
    kid = _claimed_kid(envelope)
    submitter = trust.submitters.get(kid)
    if submitter is None or submitter.key.kid != kid:
        raise _refuse("envelope.untrusted")
    payload = _signed_payload(envelope, submitter.key)
    if submitter.revoked is not None:
        raise _refuse("envelope.revoked")
    model = _parse(payload)
    _check_addressed(model, submitter, me)
    _check_granted(model, submitter, trust)
    _check_time(model, now)
    return _job(model, kid, job_digest(envelope))


def peek(envelope: bytes) -> str | None:
    """The job id that an envelope claims, to name a reason file by. Unverified: only ever a ULID, else None."""
    claimed = _claims(envelope).get("id")
    return claimed if isinstance(claimed, str) and ids.is_ulid(claimed) else None


def peek_kind(envelope: bytes) -> str | None:
    """The kind of task that an envelope claims, to choose its lane by; unverified. None for what is no envelope."""
    task = _claims(envelope).get("task")
    kind = task.get("kind") if isinstance(task, dict) else None
    return kind if isinstance(kind, str) else None


def _claims(envelope: bytes) -> Mapping[str, object]:
    """What an envelope's payload says, unverified; nothing when it cannot be read."""
    if len(envelope) > MAX_ENVELOPE_BYTES:
        return {}
    try:
        payload = decode_base64url(jws.split(envelope, MAX_PAYLOAD_BYTES)[1].decode("ascii"))
        value = strictjson.loads(payload, MAX_PAYLOAD_BYTES)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def sign_manifest(manifest: ManifestModel, key: SigningKey) -> bytes:
    """The signed manifest of a result, by the agent's result key."""
    return jws.sign(strictjson.dumps(manifest.model_dump(mode="json")), key, RESULT_TYPE)


def verify_manifest(token: bytes, keys: Mapping[str, VerifyKey]) -> ManifestModel:
    """The manifest, when one of the pinned agent `keys` (by kid) signed it. Raises ManifestError."""
    if len(token) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"the manifest is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        kid = jws.kid_of(token, RESULT_TYPE, MAX_MANIFEST_BYTES)
        payload = jws.verify(token, _pinned(keys, kid))
        return ManifestModel.model_validate(strictjson.loads(payload, MAX_MANIFEST_BYTES))
    except ValidationError as error:
        raise ManifestError(f"the manifest is not of the published schema: {explain(error)}") from None
    except WireError as error:
        raise ManifestError(f"the manifest cannot be accepted: {error}") from None


def _pinned(keys: Mapping[str, VerifyKey], kid: str) -> VerifyKey:
    key = keys.get(kid)
    if key is None or key.kid != kid:
        raise ManifestError("it is signed by an agent key that is not pinned")
    return key


def _refuse(code: str, message: str = "") -> Refuse:
    return Refuse(code, message or CODES[code].meaning, CODES[code].remedy)


def _claimed_kid(envelope: bytes) -> str:
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise _refuse("envelope.too_large")
    try:
        return jws.kid_of(envelope, JOB_TYPE, MAX_PAYLOAD_BYTES)
    except SizeError:
        raise _refuse("envelope.too_large", "The payload is larger than the limit of 1 MiB.") from None
    except HeaderError:
        raise _refuse("envelope.header") from None
    except FormError:
        raise _not_a_jws(envelope) from None


def _not_a_jws(envelope: bytes) -> Refuse:
    try:
        envelope.decode("utf-8")
    except UnicodeDecodeError:
        return _refuse("envelope.encoding", "The envelope is not valid UTF-8.")
    return _refuse("envelope.malformed", "The bytes are not a compact JWS.")


def _signed_payload(envelope: bytes, key: VerifyKey) -> bytes:
    try:
        return jws.verify(envelope, key)
    except SignatureError:
        raise _refuse("envelope.signature") from None


def _parse(payload: bytes) -> JobModel:
    try:
        value = strictjson.loads(payload, MAX_PAYLOAD_BYTES)
    except EncodingError:
        raise _refuse("envelope.encoding") from None
    except JsonError as error:
        raise _refuse("envelope.malformed", f"The payload is not strict JSON: {error}.") from None
    match value:
        case {"task": {"kind": str() as kind}} if kind not in KINDS:
            raise _refuse("envelope.kind", "This agent does not know this kind of task.")
        case dict():
            pass
        case _:
            raise _refuse("envelope.malformed", "The payload is not a JSON object.")
    try:
        return JobModel.model_validate(value)
    except ValidationError as error:
        message = f"A field is unknown, missing or outside its bounds: {explain(error)}."
        raise _refuse("envelope.field", message) from None


def _check_addressed(job: JobModel, submitter: Submitter, me: Me) -> None:
    if job.tenant != me.tenant:
        raise _refuse("envelope.tenant", "The job is for another tenant.")
    if job.tenant not in submitter.tenants:
        raise _refuse("envelope.tenant", "The key may not speak for this tenant.")
    if job.audience not in {f"agent:{me.agent}", f"pool:{me.pool}"}:
        raise _refuse("envelope.audience")


def _check_granted(job: JobModel, submitter: Submitter, trust: TrustStore) -> None:
    if not submitter.grants_kind(job.task.kind):
        raise _refuse("envelope.kind")
    if not all(submitter.grants_source(source) for source in job.task.sources()):
        raise _refuse("envelope.source")
    if not set(job.requested_by.roles) <= set(submitter.roles):
        raise _refuse("envelope.role")
    if job.reply_to.kid not in submitter.recipients or job.reply_to.kid not in trust.recipients:
        raise _refuse("envelope.reply_to")


def _check_time(job: JobModel, now: float) -> None:
    if job.not_before > now + SKEW_SECONDS:
        raise _refuse("envelope.not_yet")
    if job.issued > now + SKEW_SECONDS:
        raise _refuse("envelope.not_yet", "The job says that it was issued in the future.")
    if job.expires < now - SKEW_SECONDS:
        raise _refuse("envelope.expired")


def _job(model: JobModel, kid: str, digest: Digest) -> Job:
    return Job(
        id=JobId(model.id),
        digest=digest,
        kid=kid,
        tenant=model.tenant,
        audience=model.audience,
        stream=model.stream,
        seq=model.seq,
        issued=model.issued,
        not_before=model.not_before,
        expires=model.expires,
        result_until=model.result_until,
        requested_by=model.requested_by.plain(),
        reply_to=model.reply_to.kid,
        idempotent=model.idempotent,
        max_attempts=model.max_attempts,
        priority=model.priority,
        limits=model.limits.asked(),
        on_limit=model.on_limit,
        task=model.task.plain(),
    )
