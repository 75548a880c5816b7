"""Keys and a recipe -> the bit-exact vectors beside this file: `python tests/vectors/make.py [--results]`.

Envelopes come out the same at every run. Results hold fresh randomness, so they are made once and kept.
"""

import base64
import hmac
import io
import json
import sys
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent.core.job import Me
from agent.core.outcome import Completed, Failed, Outcome, Refused
from agent.core.problem import Problem
from agent.core.table import Analysis, Disclosure, Masked, Output, Printed
from agent.wire import container, sealing, signing
from agent.wire.keys import OpeningKey, SigningKey
from agent.wire.models import JobModel
from agent.wire.trust import Recipient, Submitter, TrustStore

HERE = Path(__file__).parent
NOW = 1_700_000_000.0
ME = Me(tenant="acme", agent="plant-7", pool="default")
JOB_ID = "01HF7YAT00TESTVECTR0000001"
RESULT_ID = "01HF7YAT00TESTVECTR0000002"
ORDER_L = 2**252 + 27742317777372353535851937790883648493

Payload = dict[str, Any]


def _seed(name: str) -> bytes:
    return sha256(f"meridyen test vector: {name}".encode()).digest()


def signing_key(name: str) -> SigningKey:
    """A fixed Ed25519 key. Anyone can make it: for tests only."""
    return SigningKey(Ed25519PrivateKey.from_private_bytes(_seed(name)))


def opening_key(name: str) -> OpeningKey:
    """A fixed X25519 key. Anyone can make it: for tests only."""
    return OpeningKey(X25519PrivateKey.from_private_bytes(_seed(name)))


ALICE, ALICE_OPEN = signing_key("alice"), opening_key("alice")
BOB, BOB_OPEN = signing_key("bob"), opening_key("bob")
CAROL, DAVE, MALLORY = signing_key("carol"), signing_key("dave"), signing_key("mallory")
AGENT = signing_key("agent result")
KEYS = {"alice": ALICE, "bob": BOB, "carol": CAROL, "dave": DAVE, "mallory": MALLORY, "agent": AGENT}


@cache
def trust() -> TrustStore:
    """Alice may ask for shop*, Bob for no kind, Carol is revoked, Dave speaks for another tenant, Mallory is unknown."""

    def entry(name: str, **grants: Any) -> Submitter:
        defaults = {"tenants": ("acme",), "sources": ("shop*",), "kinds": ("sql",), "added": "2023-11-01T00:00:00Z"}
        key = KEYS[name].public()
        return Submitter(**{"name": name, "key": key, "recipients": (ALICE_OPEN.kid,), **defaults, **grants})

    people = [
        entry("alice", roles=("auditor",)),
        entry("bob", kinds=(), recipients=(BOB_OPEN.kid,)),
        entry("carol", revoked="2023-11-02T00:00:00Z"),
        entry("dave", tenants=("other",)),
    ]
    openers = {"alice": ALICE_OPEN, "bob": BOB_OPEN}
    return TrustStore(
        submitters={person.key.kid: person for person in people},
        recipients={key.kid: Recipient(name=name, key=key.public()) for name, key in openers.items()},
    )


def payload(**changes: Any) -> Payload:
    """The payload of the good job, top-level members replaced; `...` removes one."""
    good: Payload = {
        "id": JOB_ID,
        "tenant": "acme",
        "audience": "agent:plant-7",
        "stream": "line-1",
        "seq": 7,
        "issued": NOW - 60,
        "not_before": NOW - 60,
        "expires": NOW + 3600,
        "result_until": NOW + 86_400,
        "requested_by": {"user": "alice@acme.example", "roles": ["auditor"], "purpose": "vector"},
        "reply_to": {"kid": ALICE_OPEN.kid},
        "idempotent": True,
        "max_attempts": 3,
        "priority": 0,
        "limits": {"wall_seconds": 30, "rows": 1000},
        "on_limit": "truncate",
        "task": {
            "kind": "sql",
            "source": "shop",
            "statement": "SELECT count(*) AS n FROM orders WHERE total > :least AND note <> 'Grüße'",
            "parameters": {"least": 12.5},
            "format": "json",
        },
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def task(**changes: Any) -> Payload:
    """The good job with members of its task replaced."""
    return payload(task={name: value for name, value in {**payload()["task"], **changes}.items() if value is not ...})


def b64(data: bytes) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def craft(
    body: Mapping[str, Any] | bytes,
    key: SigningKey = ALICE,
    header: Mapping[str, Any] | bytes | None = None,
    sign: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """A compact JWS around any body and any header, by hand: says nothing about whether it should be accepted."""
    if header is None:
        header = {"alg": "Ed25519", "kid": key.kid, "typ": signing.JOB_TYPE}
    head = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    message = b64(head) + b"." + b64(data)
    return message + b"." + b64((sign or key.handle.sign)(message))


@cache
def good() -> bytes:
    """The envelope of the good job, made by the product's own signer."""
    return signing.sign_job(JobModel.model_validate(payload()), ALICE)


@cache
def bad() -> dict[str, bytes]:
    """`<code>--<what is wrong>` -> envelope. Every one must be refused with its code."""
    return {**_malformed(), **_headers(), **_signatures(), **_fields(), **_grants()}


def _malformed() -> dict[str, bytes]:
    text = json.dumps(payload(), ensure_ascii=False)
    twice = text.replace('"priority": 0', '"priority": 0, "priority": 1')
    deep = "[" * 40 + "]" * 40
    whole = good()
    return {
        "envelope.malformed--empty": b"",
        "envelope.malformed--plain-json": text.encode("ascii", "backslashreplace"),
        "envelope.malformed--json-serialisation": json.dumps({"payload": "e30", "signatures": []}).encode(),
        "envelope.malformed--two-segments": whole.rpartition(b".")[0],
        "envelope.malformed--four-segments": whole + b".e30",
        "envelope.malformed--newline-at-the-end": whole + b"\n",
        "envelope.malformed--padded-base64": whole.replace(b".", b"=.", 1),
        "envelope.malformed--standard-base64": b"+/" + whole,
        "envelope.malformed--payload-missing": whole.split(b".")[0] + b".." + whole.split(b".")[2],
        "envelope.malformed--payload-cut-short": craft(text.encode()[:-20]),
        "envelope.malformed--payload-is-an-array": craft(b"[]"),
        "envelope.malformed--payload-is-a-string": craft(b'"task"'),
        "envelope.malformed--duplicate-key": craft(twice.encode()),
        "envelope.malformed--duplicate-key-in-task": craft(text.replace('"kind": "sql"', '"kind": "sql", "kind": "sql"').encode()),
        "envelope.malformed--duplicate-key-by-escape": craft(text.replace('"priority": 0', '"priority": 0, "prior\\u0069ty": 0').encode()),
        "envelope.malformed--nan": craft(text.replace("12.5", "NaN").encode()),
        "envelope.malformed--infinity": craft(text.replace("12.5", "-Infinity").encode()),
        "envelope.malformed--number-too-large": craft(text.replace("12.5", "1e999").encode()),
        "envelope.malformed--integer-too-long": craft(text.replace("12.5", "9" * 5000).encode()),
        "envelope.malformed--too-deep": craft(text.replace("12.5", deep).encode()),
        "envelope.malformed--byte-order-mark": craft(b"\xef\xbb\xbf" + text.encode()),
        "envelope.malformed--two-values": craft(text.encode() + b"{}"),
        "envelope.malformed--nul-after-value": craft(text.encode() + b"\x00"),
        "envelope.encoding--raw-bytes": b"\xff\xfe\x00not text",
        "envelope.encoding--payload-latin-1": craft(text.encode("latin-1")),
        "envelope.encoding--payload-overlong": craft(text.encode().replace(b"line-1", b"line\xc0\xad1")),
        "envelope.encoding--half-a-surrogate": craft(text.replace("Gr", "\\ud800").encode()),
    }  # fmt: skip


def _headers() -> dict[str, bytes]:
    plain = {"alg": "Ed25519", "kid": ALICE.kid, "typ": signing.JOB_TYPE}
    shared = hmac.digest
    raw = json.dumps(plain)

    def with_(**more: Any) -> bytes:
        return craft(payload(), header={name: value for name, value in {**plain, **more}.items() if value is not ...})

    public = ALICE.public().raw
    return {
        "envelope.header--alg-none": craft(payload(), header={**plain, "alg": "none"}, sign=lambda _: b""),
        "envelope.header--alg-hs256-with-the-public-key": craft(
            payload(), header={**plain, "alg": "HS256"}, sign=lambda message: shared(public, message, "sha256")
        ),
        "envelope.header--alg-eddsa": with_(alg="EdDSA"),
        "envelope.header--alg-ed448": with_(alg="Ed448"),
        "envelope.header--alg-lower-case": with_(alg="ed25519"),
        "envelope.header--alg-list": with_(alg=["Ed25519"]),
        "envelope.header--alg-missing": with_(alg=...),
        "envelope.header--kid-missing": with_(kid=...),
        "envelope.header--kid-null": with_(kid=None),
        "envelope.header--kid-number": with_(kid=1),
        "envelope.header--kid-path": with_(kid="../../etc/passwd"),
        "envelope.header--kid-with-newline": with_(kid=ALICE.kid + "\n"),
        "envelope.header--kid-fingerprint": with_(kid="SHA256:" + ALICE.kid),
        "envelope.header--typ-missing": with_(typ=...),
        "envelope.header--typ-result": with_(typ=signing.RESULT_TYPE),
        "envelope.header--typ-upper-case": with_(typ=signing.JOB_TYPE.upper()),
        "envelope.header--typ-next-version": with_(typ="meridyen-job+v2"),
        "envelope.header--b64-false": craft(
            json.dumps(payload()).encode(), header={**plain, "b64": False, "crit": ["b64"]}
        ),
        "envelope.header--b64-true": with_(b64=True),
        "envelope.header--crit-empty": with_(crit=[]),
        "envelope.header--crit-exp": with_(crit=["exp"], exp=NOW + 1),
        "envelope.header--jwk-of-the-attacker": craft(
            payload(), key=MALLORY, header={**plain, "jwk": MALLORY.public().to_jwk()}
        ),
        "envelope.header--jku": with_(jku="https://attacker.example/keys"),
        "envelope.header--x5u": with_(x5u="https://attacker.example/cert"),
        "envelope.header--cty": with_(cty="json"),
        "envelope.header--zip": with_(zip="DEF"),
        "envelope.header--unknown-member": with_(note="hello"),
        "envelope.header--duplicate-alg": craft(payload(), header=raw.replace("{", '{"alg":"none",', 1).encode()),
        "envelope.header--duplicate-kid": craft(
            payload(), header=raw.replace("{", '{"kid":"' + MALLORY.kid + '",', 1).encode()
        ),
        "envelope.header--array": craft(payload(), header=b"[]"),
        "envelope.header--not-json": craft(payload(), header=b"alg: Ed25519"),
        "envelope.header--not-utf8": craft(payload(), header=raw.encode().replace(b"+v1", b"\xff1")),
        "envelope.header--filled-with-spaces": craft(payload(), header=raw.encode() + b" " * 300),
        "envelope.header--larger-than-512": with_(note="x" * 600),
    }


def _signatures() -> dict[str, bytes]:
    whole = good()
    head, body, signature = whole.split(b".")
    raw = base64.urlsafe_b64decode(signature + b"==")
    shifted = raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER_L).to_bytes(32, "little")
    other = craft(payload(seq=8))
    manifest_like = craft(payload(), key=ALICE, header={"alg": "Ed25519", "kid": ALICE.kid, "typ": signing.RESULT_TYPE})
    return {
        "envelope.signature--missing": head + b"." + body + b".",
        "envelope.signature--cut-short": whole[:-10],
        "envelope.signature--altered": head + b"." + body + b"." + b64(bytes([raw[0] ^ 1]) + raw[1:]),
        "envelope.signature--altered-payload": head + b"." + b64(json.dumps(payload(priority=9)).encode()) + b"." + signature,
        "envelope.signature--of-another-job": head + b"." + body + b"." + other.split(b".")[2],
        "envelope.signature--of-another-type": head + b"." + body + b"." + manifest_like.split(b".")[2],
        "envelope.signature--of-another-key": craft(payload(), key=BOB, header={"alg": "Ed25519", "kid": ALICE.kid, "typ": signing.JOB_TYPE}),
        "envelope.signature--of-the-payload-alone": craft(payload(), sign=lambda _: ALICE.handle.sign(json.dumps(payload()).encode())),
        "envelope.signature--as-a-statement": craft(payload(), sign=ALICE.sign),
        "envelope.signature--not-reduced": head + b"." + body + b"." + b64(shifted),
        "envelope.signature--zeros": head + b"." + body + b"." + b64(bytes(64)),
        "envelope.signature--loose-last-character": whole[:-1] + (b"B" if whole[-1:] in b"AQgw" else b"Z"),
        "envelope.untrusted--unknown-key": craft(payload(), key=MALLORY),
        "envelope.untrusted--agents-own-result-key": craft(payload(), key=AGENT),
        "envelope.untrusted--kid-of-a-recipient": craft(payload(), header={"alg": "Ed25519", "kid": ALICE_OPEN.kid, "typ": signing.JOB_TYPE}),
        "envelope.revoked--key": craft(payload(), key=CAROL),
    }  # fmt: skip


def _fields() -> dict[str, bytes]:
    who = payload()["requested_by"]
    wrong: dict[str, Payload] = {
        "unknown": payload(note="hello"),
        "unknown-in-task": task(timeout=1),
        "unknown-in-requested-by": payload(requested_by={**who, "admin": True}),
        "unknown-in-reply-to": payload(reply_to={"kid": ALICE_OPEN.kid, "url": "https://attacker.example"}),
        "unknown-in-limits": payload(limits={"nice": 1}),
        "unknown-proto": payload(__proto__={}),
        "id-missing": payload(id=...),
        "id-lower-case": payload(id=JOB_ID.lower()),
        "id-path": payload(id="../../../../tmp/x"),
        "id-too-large": payload(id="8" + JOB_ID[1:]),
        "id-with-newline": payload(id=JOB_ID + "\n"),
        "id-number": payload(id=1),
        "tenant-missing": payload(tenant=...),
        "tenant-with-slash": payload(tenant="acme/../other"),
        "audience-without-kind": payload(audience="plant-7"),
        "audience-list": payload(audience=["agent:plant-7"]),
        "stream-with-control": payload(stream="a\x1b[2J"),
        "seq-negative": payload(seq=-1),
        "seq-bool": payload(seq=True),
        "issued-text": payload(issued="1700000000"),
        "issued-negative": payload(issued=-1),
        "expires-missing": payload(expires=...),
        "expires-null": payload(expires=None),
        "expires-before-not-before": payload(expires=NOW - 61),
        "expires-in-the-year-10000": payload(expires=253_402_300_800, result_until=253_402_300_800),
        "result-until-before-expires": payload(result_until=NOW),
        "user-missing": payload(requested_by={"roles": []}),
        "user-empty": payload(requested_by={**who, "user": ""}),
        "user-with-newline": payload(requested_by={**who, "user": "alice\nroot"}),
        "user-with-line-separator": payload(requested_by={**who, "user": "alice\u2028root"}),
        "user-turned-around": payload(requested_by={**who, "user": "\u202etoor"}),
        "user-with-c1-control": payload(requested_by={**who, "user": "\x9b2J"}),
        "user-too-long": payload(requested_by={**who, "user": "a" * 257}),
        "roles-text": payload(requested_by={**who, "roles": "auditor"}),
        "roles-null": payload(requested_by={**who, "roles": [None]}),
        "roles-too-many": payload(requested_by={**who, "roles": ["auditor"] * 65}),
        "reply-to-text": payload(reply_to=ALICE_OPEN.kid),
        "reply-to-jwk": payload(reply_to=ALICE_OPEN.public().to_jwk()),
        "idempotent-number": payload(idempotent=1),
        "max-attempts-zero": payload(max_attempts=0),
        "max-attempts-float": payload(max_attempts=1.5),
        "max-attempts-two-not-idempotent": payload(idempotent=False, max_attempts=2),
        "limits-negative": payload(limits={"rows": -1}),
        "limits-zero": payload(limits={"wall_seconds": 0}),
        "limits-list": payload(limits=[]),
        "on-limit-unknown": payload(on_limit="ignore"),
        "task-missing": payload(task=...),
        "task-text": payload(task="SELECT 1"),
        "task-kind-missing": task(kind=...),
        "task-kind-list": task(kind=["sql"]),
        "task-source-glob": task(source="*"),
        "task-source-path": task(source="../shop"),
        "task-source-dotted": task(source="shop.main"),
        "task-statement-number": task(statement=1),
        "task-format-unknown": task(format="pickle"),
        "task-parameters-list": task(parameters=[1]),
        "task-parameter-name": task(parameters={"a b": 1}),
        "task-parameter-object": task(parameters={"a": {}}),
        "task-parameter-large-integer": task(parameters={"a": 2**63}),
    }
    return {f"envelope.field--{name}": craft(body) for name, body in wrong.items()}


def _grants() -> dict[str, bytes]:
    who = payload()["requested_by"]
    nobody = {**who, "roles": []}
    return {
        "envelope.tenant--of-another-site": craft(payload(tenant="other")),
        "envelope.tenant--key-of-another-tenant": craft(payload(requested_by=nobody), key=DAVE),
        "envelope.tenant--key-and-job-of-another": craft(payload(tenant="other", requested_by=nobody), key=DAVE),
        "envelope.audience--another-agent": craft(payload(audience="agent:plant-8")),
        "envelope.audience--another-pool": craft(payload(audience="pool:fast")),
        "envelope.audience--pool-named-as-the-agent": craft(payload(audience="pool:plant-7")),
        "envelope.audience--agent-named-as-the-pool": craft(payload(audience="agent:default")),
        "envelope.audience--other-case": craft(payload(audience="agent:Plant-7")),
        "envelope.not_yet--not-before": craft(payload(not_before=NOW + 301)),
        "envelope.not_yet--issued-in-the-future": craft(payload(issued=NOW + 301)),
        "envelope.expired--expires": craft(payload(expires=NOW - 301, not_before=NOW - 400)),
        "envelope.expired--long-ago": craft(payload(expires=2, not_before=1, issued=1)),
        "envelope.reply_to--unlisted": craft(payload(reply_to={"kid": opening_key("mallory").kid})),
        "envelope.reply_to--recipient-of-another-key": craft(payload(reply_to={"kid": BOB_OPEN.kid})),
        "envelope.reply_to--the-signing-key": craft(payload(reply_to={"kid": ALICE.kid})),
        "envelope.role--not-granted": craft(payload(requested_by={**who, "roles": ["auditor", "payroll"]})),
        "envelope.role--of-another-key": craft(payload(requested_by={**who, "roles": ["Auditor"]})),
        "envelope.kind--unknown": craft(task(kind="shell")),
        "envelope.kind--unknown-with-foreign-fields": craft(payload(task={"kind": "python", "code": "1"})),
        "envelope.kind--not-granted": craft(payload(requested_by=nobody, reply_to={"kid": BOB_OPEN.kid}), key=BOB),
        "envelope.source--not-granted": craft(task(source="payroll")),
        "envelope.source--prefix-only": craft(task(source="old-shop")),
        "envelope.source--other-case": craft(task(source="SHOP")),
    }


def outcomes() -> dict[str, Outcome]:
    """The outcomes behind the `.mres` files."""
    table = pa.table({"n": pa.array([3, None], pa.int64()), "name": ["Grüße", "***"]})
    disclosure = Disclosure(
        source="shop",
        relations=("main.orders",),
        columns={"main.orders.name": "redact", "main.orders.total": "keep"},
        policy_version=1,
        policy_sha256="ab" * 32,
    )
    return {
        "completed": Completed(Masked(table.schema, iter(table.to_batches()), disclosure, "json")),
        "refused": Refused("sql.function", "The function is not on the list.", "Use another."),
        "failed": Failed("limit.wall", "The job ran longer than its wall limit.", "Ask for less.", disclosure),
        "program": Completed(_program(table, disclosure)),
        "program-json": Completed(Analysis(b'{"n":[1,null]}', (), Printed(), disclosure)),
        "raised": Failed(
            "python.error",
            "KeyError: 'n'",
            "Correct the program at the given line.",
            disclosure,
            (Problem("python.error", "'n'", name="KeyError", line=2),),
            Printed("until here\n", "a warning\n", stderr_cut=True),
        ),
    }


def _program(table: pa.Table, disclosure: Disclosure) -> Analysis:
    rows = Masked(table.schema, iter(table.to_batches()), disclosure, "json")
    spec = b'{"$schema":"https://vega.github.io/schema/vega-lite/v6.json","mark":"bar"}'
    charts = (
        Output("chart-1.vl.json", "application/vnd.vegalite.v6+json", spec),
        Output("chart-2.png", "image/png", b"\x89PNG\r\n\x1a\n"),
    )
    return Analysis(rows, charts, Printed("Grüße\n", stdout_cut=True), disclosure, truncated=True)


def context() -> sealing.SealContext:
    """The result of the good job, for Alice."""
    return sealing.SealContext(
        job_id=JOB_ID,
        job_digest=signing.job_digest(good()),
        result_id=RESULT_ID,
        attempt=1,
        policy_version=1,
        policy_sha256="ab" * 32,
        isolation="process",
        recipient=ALICE_OPEN.public(),
    )


def result(outcome: Outcome) -> bytes:
    """A whole `.mres` file, with fresh randomness."""
    parts, file = io.BytesIO(), io.BytesIO()
    parcel = sealing.seal(outcome, context=context(), sink=parts)
    manifest = signing.sign_manifest(sealing.manifest(parcel, audit_seq=12, audit_hash="cd" * 32), AGENT)
    container.write_mres(file, manifest, io.BytesIO(parts.getvalue()))
    return file.getvalue()


def files() -> dict[str, bytes]:
    """Name -> bytes of every vector that is the same at each run."""
    keys = {name: key.to_jwk() for name, key in KEYS.items()}
    keys |= {"alice-open": ALICE_OPEN.to_jwk(), "bob-open": BOB_OPEN.to_jwk()}
    index = {
        "now": NOW,
        "me": {"tenant": ME.tenant, "agent": ME.agent, "pool": ME.pool},
        "job": {"digest": signing.job_digest(good()), "payload": payload()},
        "result": {"id": RESULT_ID, "job": JOB_ID, "signed_by": AGENT.kid, "sealed_to": ALICE_OPEN.kid},
    }
    named = {f"bad/{name}.mjob": data for name, data in bad().items()}
    return {
        "keys.json": _text(keys),
        "trust.json": trust().dump().encode(),
        "vectors.json": _text(index),
        "good.mjob": good(),
        **named,
    }


def _text(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def main(arguments: list[str]) -> None:
    """Write the vectors; results only when asked to, because they change."""
    (HERE / "bad").mkdir(exist_ok=True)
    for name, data in files().items():
        (HERE / name).write_bytes(data)
    if "--results" in arguments:
        for name, outcome in outcomes().items():
            (HERE / f"{name}.mres").write_bytes(result(outcome))


if __name__ == "__main__":
    main(sys.argv[1:])
