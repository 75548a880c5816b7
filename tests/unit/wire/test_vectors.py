"""The files in tests/vectors: bit-exact, opened by the product and by a reader that shares no code with it."""

import base64
import hashlib
import hmac
import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent.wire import frames
from agent.wire.container import read_mres
from agent.wire.errors import WireError
from agent.wire.sealing import Opened, open_result
from agent.wire.signing import job_digest, sign_manifest, verify_manifest

RESULTS = ["completed", "refused", "failed", "program", "program-json", "raised"]


def read(make: ModuleType, data: bytes) -> Opened:
    manifest, parts = read_mres(io.BytesIO(data))
    model = verify_manifest(manifest, {make.AGENT.kid: make.AGENT.public()})
    return open_result(model, parts, make.ALICE_OPEN, job_digest=job_digest(make.good()))


def test_the_files_are_what_the_recipe_makes(make: ModuleType, folder: Path) -> None:
    made = make.files()
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    kept = {f"{name}.mres" for name in RESULTS} | {"make.py", "README.md"}
    found = {name: data for name, data in found.items() if name not in kept and "__pycache__" not in name}
    assert sorted(found) == sorted(made), "run: python tests/vectors/make.py"
    assert [name for name, data in made.items() if found[name] != data] == []


@pytest.mark.parametrize("name", RESULTS)
def test_a_kept_result_opens(make: ModuleType, folder: Path, name: str) -> None:
    opened = read(make, (folder / f"{name}.mres").read_bytes())
    assert opened.outcome.outcome == {"raised": "failed"}.get(name, "completed" if name.startswith("program") else name)
    assert opened.outcome.policy.sha256 == "ab" * 32
    if name in {"completed", "program"}:
        columns, rows = frames.rows(frames.decode(*opened.members["rows.json"]))
        assert columns == [{"name": "n", "type": "int64"}, {"name": "name", "type": "string"}]
        assert rows == [[3, "Grüße"], [None, "***"]]
    elif name in {"refused", "failed"}:
        assert opened.members == {}


def test_a_kept_result_of_a_program_has_all_that_it_gave(make: ModuleType, folder: Path) -> None:
    framed, plain, raised = (
        read(make, (folder / f"{name}.mres").read_bytes()) for name in ("program", "program-json", "raised")
    )
    assert [*framed.members] == ["rows.json", "stdout.txt", "chart-1.vl.json", "chart-2.png"]
    assert framed.members["stdout.txt"] == ("text/plain; charset=utf-8", "Grüße\n".encode())
    assert (framed.outcome.result.kind, framed.outcome.truncated) == ("frame", True)
    assert (framed.outcome.printed.stdout_truncated, framed.outcome.printed.stderr_truncated) == (True, False)
    assert plain.members == {"result.json": ("application/json", b'{"n":[1,null]}')}
    assert (plain.outcome.result.kind, plain.outcome.truncated) == ("json", False)
    assert [*raised.members] == ["stdout.txt", "stderr.txt"]
    assert (raised.outcome.problems[0].name, raised.outcome.problems[0].line) == ("KeyError", 2)
    assert raised.outcome.printed.stderr_truncated


@pytest.mark.parametrize("name", RESULTS)
def test_the_manifest_of_a_kept_result_is_signed_bit_exact(make: ModuleType, folder: Path, name: str) -> None:
    manifest, _ = read_mres(io.BytesIO((folder / f"{name}.mres").read_bytes()))
    model = verify_manifest(manifest, {make.AGENT.kid: make.AGENT.public()})
    assert sign_manifest(model, make.AGENT) == manifest


@pytest.mark.parametrize(("name", "flip"), [("completed", 0x01), ("refused", 0x20), ("failed", 0x80)])
def test_every_flipped_byte_is_refused(make: ModuleType, folder: Path, name: str, flip: int) -> None:
    whole = (folder / f"{name}.mres").read_bytes()
    taken = []
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= flip
        try:
            read(make, bytes(changed))
        except WireError:
            continue
        taken.append(place)
    assert taken == []


def test_every_shortened_or_lengthened_file_is_refused(make: ModuleType, folder: Path) -> None:
    whole = (folder / "refused.mres").read_bytes()
    for data in [*(whole[:length] for length in range(len(whole))), whole + b"\x00", whole + whole]:
        with pytest.raises(WireError):
            read(make, data)


def test_a_result_of_another_job_is_refused(make: ModuleType, folder: Path) -> None:
    """Both are whole and well signed: only the job that was sent tells them apart."""
    manifest, parts = read_mres(io.BytesIO((folder / "completed.mres").read_bytes()))
    model = verify_manifest(manifest, {make.AGENT.kid: make.AGENT.public()})
    with pytest.raises(WireError, match="another job"):
        open_result(model, parts, make.ALICE_OPEN, job_digest=job_digest(make.craft(make.payload(seq=9))))


# a second reader, from the standards alone: RFC 7515, 8037, 9180 (base mode) and the text of README.md


def b64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def extract(salt: bytes, data: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), data, "sha256")


def expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        out, counter = out + block, counter + 1
    return out[:length]


def hpke_open(sealed: bytes, private: X25519PrivateKey, info: bytes) -> bytes:
    def labelled(suite: bytes, salt: bytes, label: bytes, data: bytes) -> bytes:
        return extract(salt, b"HPKE-v1" + suite + label + data)

    def stretched(suite: bytes, key: bytes, label: bytes, data: bytes, length: int) -> bytes:
        return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + data, length)

    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"
    encapsulated, ciphertext = sealed[:32], sealed[32:]
    secret = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    both = encapsulated + private.public_key().public_bytes_raw()
    shared = stretched(kem, labelled(kem, b"", b"eae_prk", secret), b"shared_secret", both, 32)
    schedule = b"\x00" + labelled(suite, b"", b"psk_id_hash", b"") + labelled(suite, b"", b"info_hash", info)
    root = labelled(suite, shared, b"secret", b"")
    key, nonce = (stretched(suite, root, label, schedule, size) for label, size in ((b"key", 32), (b"base_nonce", 12)))
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


def members(plain: bytes) -> dict[str, bytes]:
    found, at = {}, 0

    def take(length: int) -> bytes:
        nonlocal at
        at += length
        return plain[at - length : at]

    while header := take(int.from_bytes(take(4), "big")):
        data = b""
        while chunk := take(int.from_bytes(take(4), "big")):
            data += chunk
        found[json.loads(header)["name"]] = data
    return found


@pytest.mark.parametrize("name", RESULTS)
def test_a_reader_that_shares_no_code_opens_it(folder: Path, name: str) -> None:
    keys: dict[str, Any] = json.loads((folder / "keys.json").read_text())
    index: Any = json.loads((folder / "vectors.json").read_text())
    data = (folder / f"{name}.mres").read_bytes()
    length = int.from_bytes(data[8:12], "big")
    header, body, _ = data[12 : 12 + length].decode().split(".")
    manifest = json.loads(b64(body))
    assert json.loads(b64(header)) == {"alg": "Ed25519", "kid": keys["agent"]["kid"], "typ": "meridyen-result+v1"}
    assert manifest["job_digest"] == index["job"]["digest"]

    info = b"meridyen-result+v1" + manifest["result_id"].encode() + manifest["job_digest"].encode()
    private = X25519PrivateKey.from_private_bytes(b64(keys["alice-open"]["d"]))
    key = hpke_open(b64(manifest["sealed_key"]), private, info)
    rest, plain = data[12 + length :], b""
    for place, part in enumerate(manifest["parts"]):
        size = int.from_bytes(rest[:4], "big")
        sealed, rest = rest[4 : 4 + size], rest[4 + size :]
        assert hashlib.sha256(sealed).hexdigest() == part["sha256"]
        last = place == len(manifest["parts"]) - 1
        aad = manifest["result_id"].encode() + place.to_bytes(4, "big") + bytes([last])
        plain += AESGCM(key).decrypt(place.to_bytes(12, "big"), sealed, aad)
    assert rest == b""
    outcome = json.loads(members(plain)["outcome.json"])
    assert (outcome["outcome"], outcome["code"]) == (manifest["outcome"], manifest["code"])
    if outcome["disclosure"] is not None:
        canonical = json.dumps(outcome["disclosure"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(canonical.encode()).hexdigest() == manifest["disclosure_sha256"]
