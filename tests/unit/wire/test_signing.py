import json
from dataclasses import replace
from hashlib import sha256
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.codes import CODES
from agent.core.errors import Refuse
from agent.core.job import Me
from agent.wire import jws, signing
from agent.wire.errors import ManifestError, SizeError
from agent.wire.ids import is_ulid
from agent.wire.models import MAX_PAYLOAD_BYTES, JobModel, ManifestModel
from agent.wire.signing import (
    MAX_ENVELOPE_BYTES,
    job_digest,
    peek,
    peek_kind,
    sign_job,
    sign_manifest,
    verify,
    verify_manifest,
)
from agent.wire.trust import TrustStore


def refusal(make: ModuleType, envelope: bytes, trust: TrustStore | None = None, me: Me | None = None) -> Refuse:
    with pytest.raises(Refuse) as caught:
        verify(envelope, trust or make.trust(), me or make.ME, make.NOW)
    return caught.value


def test_a_good_job_is_taken_as_it_was_signed(make: ModuleType) -> None:
    job = verify(make.good(), make.trust(), make.ME, make.NOW)
    sent = make.payload()
    assert (job.id, job.kid, job.digest) == (sent["id"], make.ALICE.kid, sha256(make.good()).hexdigest())
    assert (job.tenant, job.audience, job.stream, job.seq) == ("acme", "agent:plant-7", "line-1", 7)
    assert (job.issued, job.not_before) == (sent["issued"], sent["not_before"])
    assert (job.expires, job.result_until) == (sent["expires"], sent["result_until"])
    assert (job.requested_by.user, job.requested_by.roles) == ("alice@acme.example", ("auditor",))
    assert job.requested_by.purpose == "vector"
    assert (job.reply_to, job.idempotent, job.max_attempts) == (make.ALICE_OPEN.kid, True, 3)
    assert (job.priority, job.limits, job.on_limit) == (0, {"wall_seconds": 30, "rows": 1000}, "truncate")
    assert job.task.statement == sent["task"]["statement"]
    assert dict(job.task.parameters) == sent["task"]["parameters"]
    assert (job.task.source, job.task.format) == ("shop", "json")


def test_the_pool_may_be_the_audience(make: ModuleType) -> None:
    envelope = make.craft(make.payload(audience="pool:default"))
    assert verify(envelope, make.trust(), make.ME, make.NOW).audience == "pool:default"


def test_the_reduced_trust_is_enough(make: ModuleType) -> None:
    whole = verify(make.good(), make.trust(), make.ME, make.NOW)
    assert verify(make.good(), make.trust().reduced(make.ALICE.kid), make.ME, make.NOW) == whole
    assert refusal(make, make.good(), make.trust().reduced(make.BOB.kid)).code == "envelope.untrusted"


def test_every_named_bad_input_is_refused_with_its_code(make: ModuleType, bad_name: str) -> None:
    found = refusal(make, make.bad()[bad_name])
    assert found.code == bad_name.split("--", maxsplit=1)[0]
    assert found.code in CODES
    assert found.hint
    for secret in (make.JOB_ID, "alice@acme.example", "orders", "attacker"):
        assert secret not in found.message + found.hint


def test_every_flipped_byte_is_refused(make: ModuleType) -> None:
    good, trust = make.good(), make.trust()
    for place in range(len(good)):
        for flip in (0x01, 0x04, 0x20, 0x80):
            changed = bytearray(good)
            changed[place] ^= flip
            try:
                verify(bytes(changed), trust, make.ME, make.NOW)
            except Refuse:
                continue
            raise AssertionError((place, flip))


def test_every_shortened_envelope_is_refused(make: ModuleType) -> None:
    good = make.good()
    for length in range(len(good)):
        assert refusal(make, good[:length]).code in {"envelope.malformed", "envelope.signature"}


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_by_code(make: ModuleType, data: bytes) -> None:
    assert refusal(make, data).code in {"envelope.malformed", "envelope.encoding", "envelope.header"}


def test_the_signature_is_checked_before_the_payload_is_read(make: ModuleType) -> None:
    for body in (b"\xff", b"[", b'{"a":1,"a":1}', json.dumps(make.payload(note=1)).encode()):
        forged = make.craft(body, sign=make.MALLORY.handle.sign)
        assert refusal(make, forged).code == "envelope.signature"


def test_a_trust_store_that_was_built_wrongly_still_does_not_confuse_keys(make: ModuleType) -> None:
    store = make.trust()
    alice, bob = store.submitters[make.ALICE.kid], store.submitters[make.BOB.kid]
    wrong = TrustStore.model_construct(
        submitters={make.ALICE.kid: bob, make.BOB.kid: alice}, recipients=store.recipients
    )
    assert refusal(make, make.good(), wrong).code == "envelope.untrusted"


@pytest.mark.parametrize(
    ("change", "later", "code"),
    [
        ({}, 0, None),
        ({"not_before": "now+300"}, 0, None),
        ({"not_before": "now+301"}, 0, "envelope.not_yet"),
        ({}, 3600 + 300, None),
        ({}, 3600 + 301, "envelope.expired"),
        ({}, -60 - 300, None),
        ({}, -60 - 301, "envelope.not_yet"),
    ],
)
def test_clocks_may_differ_by_five_minutes(
    make: ModuleType, change: dict[str, Any], later: float, code: str | None
) -> None:
    times = {name: make.NOW + float(value.removeprefix("now")) for name, value in change.items()}
    envelope = make.craft(make.payload(**times))
    if code is None:
        verify(envelope, make.trust(), make.ME, make.NOW + later)
        return
    with pytest.raises(Refuse) as caught:
        verify(envelope, make.trust(), make.ME, make.NOW + later)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("grant", "code"),
    [
        ({"kinds": ()}, "envelope.kind"),
        ({"kinds": ("python",)}, "envelope.kind"),
        ({"sources": ()}, "envelope.source"),
        ({"sources": ("ledger",)}, "envelope.source"),
        ({"roles": ()}, "envelope.role"),
        ({"recipients": ()}, "envelope.reply_to"),
        ({"tenants": ()}, "envelope.tenant"),
        ({"tenants": ("other",)}, "envelope.tenant"),
        ({"revoked": "2023-11-02T00:00:00Z"}, "envelope.revoked"),
    ],
)
def test_each_grant_is_needed(make: ModuleType, grant: dict[str, Any], code: str) -> None:
    store = make.trust()
    alice = store.submitters[make.ALICE.kid].model_copy(update=grant)
    without = store.model_copy(update={"submitters": {make.ALICE.kid: alice}})
    assert refusal(make, make.good(), without).code == code


@pytest.mark.parametrize("kind", ["catalog", "explain"])
def test_a_description_needs_grants_of_its_own(make: ModuleType, kind: str) -> None:
    task = make.payload()["task"]
    asked = {"kind": "catalog", "source": task["source"]} if kind == "catalog" else {"kind": "explain", "task": task}
    envelope = make.craft(make.payload(task=asked))
    store = make.trust()

    def granted(**grant: Any) -> TrustStore:
        alice = store.submitters[make.ALICE.kid].model_copy(update=grant)
        return store.model_copy(update={"submitters": {make.ALICE.kid: alice}})

    assert verify(envelope, granted(kinds=(kind,)), make.ME, make.NOW).task.kind == kind
    assert refusal(make, envelope, granted(kinds=("sql",))).code == "envelope.kind"
    assert refusal(make, envelope, granted(kinds=(kind,), sources=("ledger",))).code == "envelope.source"


def test_a_recipient_that_was_taken_out_of_the_store_is_refused(make: ModuleType) -> None:
    assert refusal(make, make.good(), make.trust().model_copy(update={"recipients": {}})).code == "envelope.reply_to"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tenant": "other"}, "envelope.tenant"),
        ({"agent": "plant-8"}, "envelope.audience"),
        ({"agent": "plant-7\n"}, "envelope.audience"),
    ],
)
def test_the_job_must_be_for_this_agent(make: ModuleType, change: dict[str, str], code: str) -> None:
    assert refusal(make, make.good(), me=replace(make.ME, **change)).code == code


def test_equal_causes_give_equal_words(make: ModuleType) -> None:
    one = refusal(make, make.craft(make.payload(tenant="other")))
    two = refusal(make, make.craft(make.payload(tenant="third", id="01HF7YAT00TESTVECTR0000009")))
    assert (one.code, one.message, one.hint) == (two.code, two.message, two.hint)


# sizes


def filled(make: ModuleType, size: int) -> dict[str, Any]:
    empty = len(json.dumps(make.task(statement=""), ensure_ascii=False).encode())
    filled: dict[str, Any] = make.task(statement="x" * (size - empty))
    return filled


def test_the_largest_payload_is_taken_and_one_byte_more_is_not(make: ModuleType) -> None:
    whole = make.craft(filled(make, MAX_PAYLOAD_BYTES))
    assert len(whole) <= MAX_ENVELOPE_BYTES
    assert verify(whole, make.trust(), make.ME, make.NOW)
    assert refusal(make, make.craft(filled(make, MAX_PAYLOAD_BYTES + 1))).code == "envelope.too_large"


def test_a_large_envelope_is_refused_by_its_size_alone(make: ModuleType) -> None:
    for filler in (b".", b"A", b"\xff"):
        assert refusal(make, filler * (MAX_ENVELOPE_BYTES + 1)).code == "envelope.too_large"


def test_a_job_that_is_too_large_cannot_be_signed(make: ModuleType) -> None:
    model = JobModel.model_validate(filled(make, MAX_PAYLOAD_BYTES + 200))
    with pytest.raises(SizeError):
        sign_job(model, make.ALICE)


# peek


@pytest.mark.parametrize("key", ["ALICE", "MALLORY"])
def test_peek_reads_the_claimed_id_whoever_signed(make: ModuleType, key: str) -> None:
    assert peek(make.craft(make.payload(), key=getattr(make, key))) == make.JOB_ID


@pytest.mark.parametrize(
    "claimed", ["../../etc/passwd", "", "a", 1, None, [], {}, "01HF7YAT00TESTVECTR0000001\n", "01hf7yat00testvectr0000001", "8" * 26]
)  # fmt: skip
def test_peek_never_gives_what_is_not_a_ulid(make: ModuleType, claimed: object) -> None:
    assert peek(make.craft(make.payload(id=claimed))) is None


def test_peek_gives_a_ulid_or_nothing_for_every_bad_input(make: ModuleType, bad_name: str) -> None:
    claimed = peek(make.bad()[bad_name])
    assert claimed is None or is_ulid(claimed)


@given(st.binary(max_size=300))
def test_peek_takes_any_bytes(data: bytes) -> None:
    assert peek(data) is None
    assert peek_kind(data) is None


def test_peek_does_not_read_large_envelopes(make: ModuleType) -> None:
    assert peek(make.good() + b"A" * MAX_ENVELOPE_BYTES) is None


def test_peek_refuses_a_payload_with_two_ids(make: ModuleType) -> None:
    body = json.dumps(make.payload()).encode().replace(b'{"id"', b'{"id": "01HF7YAT00TESTVECTR0000009", "id"', 1)
    assert peek(make.craft(body)) is None


# manifests


@pytest.fixture
def manifest(make: ModuleType, folder: Any) -> ManifestModel:
    token = (folder / "completed.mres").read_bytes()
    length = int.from_bytes(token[8:12], "big")
    return verify_manifest(token[12 : 12 + length], {make.AGENT.kid: make.AGENT.public()})


def pins(make: ModuleType) -> dict[str, Any]:
    return {make.AGENT.kid: make.AGENT.public(), make.BOB.kid: make.BOB.public()}


def test_a_manifest_survives_its_signature(make: ModuleType, manifest: ManifestModel) -> None:
    token = sign_manifest(manifest, make.AGENT)
    assert token == sign_manifest(manifest, make.AGENT)
    assert verify_manifest(token, pins(make)) == manifest


def test_a_manifest_needs_a_pinned_key(make: ModuleType, manifest: ManifestModel) -> None:
    for key in (make.MALLORY, make.ALICE):
        with pytest.raises(ManifestError, match="not pinned"):
            verify_manifest(sign_manifest(manifest, key), pins(make))
    with pytest.raises(ManifestError, match="not pinned"):
        verify_manifest(sign_manifest(manifest, make.AGENT), {})


def test_a_pin_under_the_wrong_kid_does_not_count(make: ModuleType, manifest: ManifestModel) -> None:
    token = sign_manifest(manifest, make.MALLORY)
    forged = make.craft(
        manifest.model_dump(mode="json"),
        key=make.MALLORY,
        header={"alg": "Ed25519", "kid": make.AGENT.kid, "typ": signing.RESULT_TYPE},
    )
    for pinned in ({make.AGENT.kid: make.MALLORY.public()}, {make.MALLORY.kid: make.AGENT.public()}):
        for attempt in (token, forged):
            with pytest.raises(ManifestError):
                verify_manifest(attempt, pinned)


def test_a_job_is_not_a_manifest_and_a_manifest_not_a_job(make: ModuleType, manifest: ManifestModel) -> None:
    keys = {make.ALICE.kid: make.ALICE.public()}
    with pytest.raises(ManifestError, match="header"):
        verify_manifest(make.good(), keys)
    assert refusal(make, sign_manifest(manifest, make.ALICE)).code == "envelope.header"


def test_every_flipped_byte_of_a_manifest_is_refused(make: ModuleType, manifest: ManifestModel) -> None:
    token = sign_manifest(manifest, make.AGENT)
    for place in range(len(token)):
        for flip in (0x01, 0x20):
            changed = bytearray(token)
            changed[place] ^= flip
            with pytest.raises(ManifestError):
                verify_manifest(bytes(changed), pins(make))


@pytest.mark.parametrize(
    "header",
    [
        {"b64": False, "crit": ["b64"]},
        {"crit": []},
        {"jwk": {}},
        {"alg": "none"},
        {"alg": "EdDSA"},
        {"typ": "meridyen-job+v1"},
        {"note": 1},
    ],
)
def test_a_manifest_with_another_header_is_refused(
    make: ModuleType, manifest: ManifestModel, header: dict[str, Any]
) -> None:
    plain = {"alg": "Ed25519", "kid": make.AGENT.kid, "typ": signing.RESULT_TYPE}
    body = manifest.model_dump(mode="json")
    verify_manifest(make.craft(body, key=make.AGENT, header=plain), pins(make))
    with pytest.raises(ManifestError, match="header"):
        verify_manifest(make.craft(body, key=make.AGENT, header={**plain, **header}), pins(make))


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{}", b'{"a":1,"a":1}'])
def test_a_signed_body_that_is_no_manifest_is_refused(make: ModuleType, body: bytes) -> None:
    header = {"alg": "Ed25519", "kid": make.AGENT.kid, "typ": signing.RESULT_TYPE}
    with pytest.raises(ManifestError):
        verify_manifest(make.craft(body, key=make.AGENT, header=header), pins(make))


def test_a_manifest_with_an_unknown_field_is_refused(make: ModuleType, manifest: ManifestModel) -> None:
    body = {**manifest.model_dump(mode="json"), "note": 1}
    header = {"alg": "Ed25519", "kid": make.AGENT.kid, "typ": signing.RESULT_TYPE}
    with pytest.raises(ManifestError, match="note is not a known field"):
        verify_manifest(make.craft(body, key=make.AGENT, header=header), pins(make))


def test_a_large_manifest_is_refused_by_its_size(make: ModuleType) -> None:
    with pytest.raises(ManifestError, match="larger"):
        verify_manifest(b"A" * (signing.MAX_MANIFEST_BYTES + 1), pins(make))


# the layer below


def test_the_library_agrees_with_a_signature_made_by_hand(make: ModuleType) -> None:
    body = json.dumps(make.payload()).encode()
    assert jws.sign(body, make.ALICE, signing.JOB_TYPE) == make.craft(body)
    assert jws.verify(make.craft(body), make.ALICE.public()) == body


def test_the_digest_is_over_the_exact_bytes(make: ModuleType) -> None:
    assert job_digest(make.good()) != job_digest(make.good() + b"\n")
