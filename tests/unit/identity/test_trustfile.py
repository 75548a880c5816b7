import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import ConfigError
from agent.core.job import Me
from agent.identity import state, trustfile
from agent.wire.keys import OpeningKey, SigningKey, fingerprint
from agent.wire.models import JobModel
from agent.wire.signing import sign_job, verify
from agent.wire.trust import TrustStore

NOW = 1_700_000_000.0
KEY, OPEN = SigningKey.generate(), OpeningKey.generate()


def added(store: TrustStore | None = None, **changes: Any) -> TrustStore:
    arguments: dict[str, Any] = {
        "name": "alice",
        "key": KEY.public(),
        "tenants": ["acme"],
        "sources": ["shop*"],
        "kinds": ["sql"],
        "roles": ["auditor"],
        "recipients": {"alice laptop": OPEN.public()},
        "now": NOW,
    }
    return trustfile.add(store or TrustStore(), **{**arguments, **changes})


def test_a_store_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    trustfile.save(path, added())
    assert trustfile.load(path) == added()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_file_has_the_published_shape(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    trustfile.save(path, added())
    plain = json.loads(path.read_text())
    assert plain["version"] == 1
    assert plain["submitters"][KEY.kid] == {
        "name": "alice",
        "key": KEY.public().to_jwk(),
        "tenants": ["acme"],
        "sources": ["shop*"],
        "kinds": ["sql"],
        "roles": ["auditor"],
        "recipients": [OPEN.kid],
        "added": "2023-11-14T22:13:20Z",
        "revoked": None,
    }
    assert plain["recipients"] == {OPEN.kid: {"name": "alice laptop", "key": OPEN.public().to_jwk()}}


def test_ensure_writes_an_empty_store_once(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    assert trustfile.ensure(path) == TrustStore()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    trustfile.save(path, added())
    assert trustfile.ensure(path) == added()


def test_ensure_says_when_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        trustfile.ensure(tmp_path / "no" / "trust.json")


def test_saving_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    trustfile.save(path, TrustStore())
    path.chmod(0o600)
    trustfile.update(path, added)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert trustfile.load(path) == added()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"submitters":{"x":{}}}', b'{"version":1,"version":1}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not a trust file") as caught:
        trustfile.load(path)
    assert caught.value.key == str(path)


def test_a_file_that_everybody_may_write_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    trustfile.save(path, added())
    path.chmod(0o666)
    with pytest.raises(ConfigError, match="every user"):
        trustfile.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        trustfile.load(tmp_path / "trust.json")


def test_adding_again_replaces_the_grants_and_keeps_the_day() -> None:
    store = added(added(), sources=["ledger"], roles=[], now=NOW + 86_400)
    entry = store.submitters[KEY.kid]
    assert (entry.sources, entry.roles, entry.added) == (("ledger",), (), "2023-11-14T22:13:20Z")


def test_adding_leaves_the_others_alone() -> None:
    other = SigningKey.generate()
    store = added(added(), key=other.public(), name="bob")
    assert set(store.submitters) == {KEY.kid, other.kid}
    assert store.submitters[KEY.kid] == added().submitters[KEY.kid]


def test_no_role_is_granted_unless_it_is_named() -> None:
    arguments: dict[str, Any] = {"name": "a", "key": KEY.public(), "tenants": ["t"], "sources": [], "kinds": []}
    store = trustfile.add(TrustStore(), **arguments, recipients={}, now=NOW)
    assert store.submitters[KEY.kid].roles == ()


@pytest.mark.parametrize(
    "change",
    [
        {"sources": ["[a]"]},
        {"sources": ["shop.main"]},
        {"kinds": ["SQL"]},
        {"tenants": ["*"]},
        {"roles": [""]},
        {"name": "a\nb"},
    ],
)
def test_grants_out_of_bounds_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        added(**change)


def test_a_revoked_key_stays_revoked() -> None:
    store = trustfile.revoke(added(), KEY.kid, NOW + 60)
    assert store.submitters[KEY.kid].revoked == "2023-11-14T22:14:20Z"
    assert trustfile.revoke(store, KEY.kid, NOW + 600) == store
    with pytest.raises(ConfigError, match="revoked"):
        added(store)
    assert TrustStore.parse(store.dump()) == store


def test_revoke_takes_the_fingerprint_that_people_see() -> None:
    assert trustfile.revoke(added(), fingerprint(KEY.kid), NOW).submitters[KEY.kid].revoked


def test_revoking_a_stranger_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no submitter"):
        trustfile.revoke(added(), SigningKey.generate().kid, NOW)


def test_two_commands_at_once_both_count(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    trustfile.save(path, TrustStore())
    keys = [SigningKey.generate() for _ in range(12)]

    def one(key: SigningKey) -> None:
        trustfile.update(path, lambda store: added(store, key=key.public()))

    threads = [threading.Thread(target=one, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(trustfile.load(path).submitters) == {key.kid for key in keys}
    assert list(tmp_path.iterdir()) == [path]


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    trustfile.save(path, added())
    with pytest.raises(ConfigError):
        trustfile.update(path, lambda store: trustfile.revoke(store, "A" * 43, NOW))
    assert trustfile.load(path) == added()


# the local operator


def job(identity: state.Identity, **changes: Any) -> bytes:
    plain = {
        "id": "01HF7YAT00TESTVECTR0000001",
        "tenant": "acme",
        "audience": "agent:plant-7",
        "issued": NOW,
        "not_before": NOW,
        "expires": NOW + 60,
        "result_until": NOW + 60,
        "requested_by": {"user": "root"},
        "reply_to": {"kid": identity.operator_open.kid},
        "task": {"kind": "sql", "source": "anything", "statement": "SELECT 1"},
    }
    return sign_job(JobModel.model_validate({**plain, **changes}), identity.operator)


def test_the_operator_may_ask_for_everything_but_asserts_no_role(tmp_path: Path) -> None:
    identity = state.ensure(tmp_path)
    store = trustfile.with_operator(TrustStore(), identity, "acme", NOW)
    me = Me(tenant="acme", agent="plant-7", pool="default")
    assert verify(job(identity), store, me, NOW).kid == identity.operator.kid
    with pytest.raises(Exception, match="role"):
        verify(job(identity, requested_by={"user": "root", "roles": ["payroll"]}), store, me, NOW)
    with pytest.raises(Exception, match="tenant"):
        verify(job(identity, tenant="other"), store, Me(tenant="other", agent="plant-7", pool="p"), NOW)


def test_what_the_officer_said_about_the_operator_stays(tmp_path: Path) -> None:
    identity = state.ensure(tmp_path)
    store = trustfile.with_operator(added(), identity, "acme", NOW)
    assert store.submitters[KEY.kid] == added().submitters[KEY.kid]
    assert trustfile.with_operator(store, identity, "acme", NOW + 60) == store
    revoked = trustfile.revoke(store, identity.operator.kid, NOW)
    assert trustfile.with_operator(revoked, identity, "acme", NOW) == revoked
