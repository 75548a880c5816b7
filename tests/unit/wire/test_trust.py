import json
from types import ModuleType
from typing import Any

import pytest

from agent.wire.errors import WireError
from agent.wire.trust import TrustStore


@pytest.fixture
def plain(make: ModuleType) -> Any:
    return json.loads(make.trust().dump())


def test_a_store_survives_its_file(make: ModuleType) -> None:
    store = make.trust()
    again = TrustStore.parse(store.dump())
    assert again == store
    assert again.dump() == store.dump()
    assert TrustStore.parse(b'{"version":1}') == TrustStore()


def test_the_file_holds_no_private_key(make: ModuleType) -> None:
    assert '"d"' not in make.trust().dump()


def test_reduced_holds_the_signer_and_its_recipients_only(make: ModuleType) -> None:
    reduced = make.trust().reduced(make.ALICE.kid)
    assert set(reduced.submitters) == {make.ALICE.kid}
    assert set(reduced.recipients) == {make.ALICE_OPEN.kid}
    assert reduced.submitters[make.ALICE.kid] == make.trust().submitters[make.ALICE.kid]
    assert TrustStore.parse(reduced.dump()) == reduced


def test_reduced_of_a_stranger_is_empty(make: ModuleType) -> None:
    assert make.trust().reduced(make.MALLORY.kid) == TrustStore()


def test_recipient_gives_the_key_to_seal_to(make: ModuleType) -> None:
    assert make.trust().recipient(make.BOB_OPEN.kid) == make.BOB_OPEN.public()
    with pytest.raises(KeyError):
        make.trust().recipient(make.ALICE.kid)


@pytest.mark.parametrize(
    ("globs", "granted", "denied"),
    [
        (("shop*",), ["shop", "shop2", "shop_eu"], ["old-shop", "SHOP", "sho"]),
        (("*",), ["shop", "a"], []),
        (("shop?",), ["shop1"], ["shop", "shop12"]),
        (("shop", "ledger"), ["shop", "ledger"], ["shops", "ledge"]),
        ((), [], ["shop"]),
    ],
)
def test_sources_are_globs_and_case_matters(
    make: ModuleType, globs: tuple[str, ...], granted: list[str], denied: list[str]
) -> None:
    alice = make.trust().submitters[make.ALICE.kid].model_copy(update={"sources": globs})
    assert [name for name in granted if not alice.grants_source(name)] == []
    assert [name for name in denied if alice.grants_source(name)] == []


def test_kinds_are_names_or_one_star(make: ModuleType) -> None:
    alice = make.trust().submitters[make.ALICE.kid]
    assert alice.grants_kind("sql")
    assert not alice.grants_kind("python")
    everything = alice.model_copy(update={"kinds": ("*",)})
    assert everything.grants_kind("python")
    nothing = alice.model_copy(update={"kinds": ()})
    assert not nothing.grants_kind("sql")
    assert not nothing.grants_kind("*")


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        (("version",), 2, "version"),
        (("version",), True, "version"),
        (("owner",), "me", "owner is not a known field"),
        (("submitters", "ALICE", "note"), "x", "submitters.N8DhAA9V3axm-6PrZLPdWWY4hrGPIr9cgdlKP8txMEk.note is not"),
        (("submitters", "ALICE", "kinds"), ["*", "s*"], "kinds.1"),
        (("submitters", "ALICE", "kinds"), "*", "kinds"),
        (("submitters", "ALICE", "kinds"), ..., "kinds is missing"),
        (("submitters", "ALICE", "sources"), ["[a-z]*"], "sources.0"),
        (("submitters", "ALICE", "sources"), ["shop.main"], "sources.0"),
        (("submitters", "ALICE", "sources"), ..., "sources is missing"),
        (("submitters", "ALICE", "tenants"), ..., "tenants is missing"),
        (("submitters", "ALICE", "tenants"), ["*"], "tenants.0"),
        (("submitters", "ALICE", "added"), "yesterday", "added"),
        (("submitters", "ALICE", "revoked"), False, "revoked"),
        (("submitters", "ALICE", "name"), "a\nb", "name"),
        (("submitters", "ALICE", "recipients"), ["A" * 43], "not under recipients"),
        (("submitters", "ALICE", "key", "crv"), "X25519", "crv"),
        (("submitters", "ALICE", "key", "kid"), "A" * 43, "kid is not the thumbprint"),
        (("submitters", "ALICE", "key", "d"), "A" * 43, "private member"),
        (("submitters", "ALICE", "key"), "text", "JWK"),
        (("submitters", "alice"), {}, "submitters"),
        (("recipients", "ALICE_OPEN", "key", "crv"), "Ed25519", "crv"),
        (("recipients", "ALICE_OPEN", "key"), None, "JWK"),
    ],
)
def test_a_wrong_store_is_refused_by_its_place(
    make: ModuleType, plain: Any, where: tuple[str, ...], value: Any, says: str
) -> None:
    *path, last = [getattr(make, step).kid if step.isupper() else step for step in where]
    place = plain
    for step in path:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(WireError) as caught:
        TrustStore.parse(json.dumps(plain))
    assert says in str(caught.value)


def test_a_key_under_another_kid_is_refused(make: ModuleType, plain: Any) -> None:
    plain["submitters"][make.MALLORY.kid] = plain["submitters"].pop(make.ALICE.kid)
    with pytest.raises(WireError, match="another thumbprint"):
        TrustStore.parse(json.dumps(plain))


def test_swapped_recipients_are_refused(make: ModuleType, plain: Any) -> None:
    alice, bob = make.ALICE_OPEN.kid, make.BOB_OPEN.kid
    plain["recipients"][alice], plain["recipients"][bob] = plain["recipients"][bob], plain["recipients"][alice]
    with pytest.raises(WireError, match="another thumbprint"):
        TrustStore.parse(json.dumps(plain))


def test_a_kid_that_stands_twice_is_refused(make: ModuleType) -> None:
    text = make.trust().dump()
    start = text.index('"' + make.ALICE.kid + '": {')
    end = text.index('"' + make.BOB.kid + '": {')
    doubled = text[:end] + text[start:end].replace("shop*", "*") + text[end:]
    json.loads(doubled)
    with pytest.raises(WireError, match="twice"):
        TrustStore.parse(doubled)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"{", b'{"submitters":[]}'])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        TrustStore.parse(data)
