import copy
import pickle
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.keys import (
    OpeningKey,
    RecipientKey,
    SigningKey,
    VerifyKey,
    decode_base64url,
    encode_base64url,
    fingerprint,
    is_kid,
)

PRIVATE = [SigningKey, OpeningKey]
PUBLIC = [VerifyKey, RecipientKey]


@pytest.mark.parametrize("kind", PRIVATE)
def test_private_keys_survive_their_jwk(kind: Any) -> None:
    key = kind.generate()
    again = kind.from_jwk(key.to_jwk())
    assert again == key
    assert again.to_jwk() == key.to_jwk()
    assert set(key.to_jwk()) == {"kty", "crv", "x", "d", "kid"}
    assert is_kid(key.kid)
    assert key.kid == key.public().kid
    assert kind.generate() != key


@pytest.mark.parametrize("kind", PRIVATE)
def test_public_keys_survive_their_jwk_and_hold_nothing_private(kind: Any) -> None:
    public = kind.generate().public()
    assert type(public).from_jwk(public.to_jwk()) == public
    assert set(public.to_jwk()) == {"kty", "crv", "x", "kid"}


def test_the_kid_is_the_thumbprint_of_rfc_8037_appendix_a3() -> None:
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert VerifyKey(decode_base64url(x)).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert fingerprint("abc") == "SHA256:abc"


def test_the_private_key_of_rfc_8037_appendix_a1_gives_its_public_key() -> None:
    jwk = {
        "kty": "OKP",
        "crv": "Ed25519",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    }
    assert SigningKey.from_jwk(jwk).to_jwk() == jwk


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_private_key_shows_only_its_kid(kind: Any) -> None:
    key = kind.generate()
    secret = key.to_jwk()["d"]
    raw = decode_base64url(secret)
    for shown in (repr(key), str(key), f"{key}", repr([key]), repr({"k": key})):
        assert secret not in shown
        assert raw.hex() not in shown
        assert repr(raw) not in shown
        assert key.kid in shown


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_private_key_cannot_be_pickled_or_changed(kind: Any) -> None:
    key = kind.generate()
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(AttributeError):
        key.kid = "other"
    assert copy.copy(key) == key


@pytest.mark.parametrize("kind", PRIVATE)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kty": "EC"}, "kty"),
        ({"kty": None}, "kty"),
        ({"crv": "Ed448"}, "crv"),
        ({"crv": "P-256"}, "crv"),
        ({"x": 1}, "x is not a string"),
        ({"x": ""}, "x is not 32 bytes"),
        ({"x": "AAAA"}, "x is not 32 bytes"),
        ({"x": "A" * 43 + "="}, "x is not 32 bytes"),
        ({"x": "!" * 43}, "x is not 32 bytes"),
        ({"x": "é" * 43}, "x is not 32 bytes"),
        ({"d": "AAAA"}, "d is not 32 bytes"),
        ({"d": None}, "d is not a string"),
        ({"d": ...}, "d is missing"),
        ({"kid": ...}, "kid is missing"),
        ({"kid": "A" * 43}, "kid is not the thumbprint"),
        ({"kid": ["A"]}, "kid is not the thumbprint"),
        ({"alg": "none"}, "other than"),
        ({"use": "sig"}, "other than"),
    ],
)
def test_a_bad_jwk_is_refused_by_name_and_never_shown(kind: Any, change: dict[str, Any], says: str) -> None:
    good = kind.generate().to_jwk()
    bad = {name: value for name, value in {**good, **change}.items() if value is not ...}
    with pytest.raises(ValueError) as caught:
        kind.from_jwk(bad)
    assert says in str(caught.value)
    assert good["d"] not in str(caught.value)


@pytest.mark.parametrize("kind", PRIVATE)
def test_the_private_part_of_another_key_is_refused(kind: Any) -> None:
    mixed = {**kind.generate().to_jwk(), "d": kind.generate().to_jwk()["d"]}
    with pytest.raises(ValueError, match="do not belong together"):
        kind.from_jwk(mixed)


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_public_key_file_that_holds_the_private_key_is_refused(kind: Any) -> None:
    key = kind.generate()
    with pytest.raises(ValueError, match="private member d"):
        type(key.public()).from_jwk(key.to_jwk())


def test_a_key_of_one_curve_does_not_pass_for_the_other() -> None:
    with pytest.raises(ValueError, match="crv"):
        VerifyKey.from_jwk(OpeningKey.generate().public().to_jwk())
    with pytest.raises(ValueError, match="crv"):
        RecipientKey.from_jwk(SigningKey.generate().public().to_jwk())
    with pytest.raises(ValueError, match="crv"):
        SigningKey.from_jwk(OpeningKey.generate().to_jwk())


@pytest.mark.parametrize("value", [None, [], "text", 1])
@pytest.mark.parametrize("kind", PRIVATE + PUBLIC)
def test_what_is_not_an_object_is_not_a_key(kind: Any, value: object) -> None:
    with pytest.raises(ValueError, match="JWK"):
        kind.from_jwk(value)


ED25519_SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
X25519_SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("point", ED25519_SMALL_ORDER)
def test_a_verify_key_of_small_order_is_refused(point: str) -> None:
    with pytest.raises(ValueError, match="usable"):
        VerifyKey(bytes.fromhex(point))


@pytest.mark.parametrize("point", X25519_SMALL_ORDER)
def test_a_recipient_key_of_small_order_is_refused(point: str) -> None:
    with pytest.raises(ValueError, match="usable"):
        RecipientKey(bytes.fromhex(point))


@pytest.mark.parametrize("kind", PUBLIC)
@pytest.mark.parametrize("raw", [b"", b"a" * 31, b"a" * 33])
def test_a_key_of_another_size_is_refused(kind: Any, raw: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        kind(raw)


@pytest.mark.parametrize("kind", PUBLIC)
@pytest.mark.parametrize("raw", ["a" * 32, [1] * 32, None, bytearray(32)])
def test_a_key_of_other_than_bytes_is_refused(kind: Any, raw: object) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        kind(raw)


def test_a_kid_has_one_spelling() -> None:
    kid = SigningKey.generate().kid
    assert is_kid(kid)
    wrong = [
        "",
        kid[:-1],
        kid + "A",
        kid + "\n",
        kid[:-1] + "B",
        "/" + kid[1:],
        "ä" + kid[1:],
        kid + "=",
        None,
        1,
        kid.encode(),
    ]
    assert [text for text in wrong if is_kid(text)] == []


@given(st.binary())
def test_statements_verify_under_their_key_only(message: bytes) -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    signature = key.sign(message)
    assert key.public().verify(signature, message)
    assert not key.public().verify(signature, message + b"\x00")
    assert not other.public().verify(signature, message)
    assert not key.public().verify(signature[:-1], message)


def test_a_statement_is_not_the_signature_of_an_envelope(make: ModuleType) -> None:
    head, body, signature = make.good().split(b".")
    raw = decode_base64url(signature.decode())
    assert make.ALICE.sign(head + b"." + body) != raw
    assert not make.ALICE.public().verify(raw, head + b"." + body)


@given(st.binary())
def test_base64url_survives(data: bytes) -> None:
    assert decode_base64url(encode_base64url(data)) == data


@pytest.mark.parametrize("text", ["A", "AB", "AA=", "AA==", "A+", "A/", "AA\n", " AA", "ÄA", "AAAAA"])
def test_only_the_canonical_spelling_of_base64url_is_taken(text: str) -> None:
    with pytest.raises(ValueError):
        decode_base64url(text)
