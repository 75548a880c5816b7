"""The agent's TLS files: kept whole or not at all, for the owner only; when a certificate is renewed."""

import stat
import time
from pathlib import Path

import pytest

from agent.core.errors import ConfigError
from agent.identity import certificate
from agent.identity.certificate import Life, Tls
from router.ca.authority import Authority
from router.core.agents import AgentId

NOW = 1_800_000_000.0
AUTHORITY = Authority.make("example.org", time.time())
CA = AUTHORITY.certificate_pem().decode()


def issued(made: certificate.Request) -> str:
    return AUTHORITY.agent(made.csr.encode(), AgentId(tenant="acme", name="plant-7"), NOW, hours=24).pem


@pytest.fixture
def kept(tmp_path: Path) -> Tls:
    tls, made = Tls(tmp_path / "tls"), certificate.request("plant-7")
    certificate.keep(tls, made, issued(made), CA)
    return tls


def test_what_is_kept_is_the_owners_and_says_how_long_it_lives(kept: Tls) -> None:
    assert kept.enrolled
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (kept.pair, kept.ca)} <= {0}
    life = certificate.life(kept)
    assert (life.begins, life.ends) == (NOW - 600, NOW + 86_400)
    assert certificate.expired(life, life.ends)
    assert not certificate.expired(life, life.ends - 1)


@pytest.mark.parametrize("what", ["another key", "no certificate", "no authority", "empty authority"])
def test_a_wrong_answer_changes_nothing(kept: Tls, what: str) -> None:
    before = kept.pair.read_bytes(), kept.ca.read_bytes()
    made, other = certificate.request("plant-7"), certificate.request("plant-7")
    answer = {"another key": issued(other), "no certificate": "hello"}.get(what, issued(made))
    authority = {"no authority": "hello", "empty authority": ""}.get(what, CA)
    with pytest.raises(ConfigError, match="is left as it is"):
        certificate.keep(kept, made, answer, authority)
    assert (kept.pair.read_bytes(), kept.ca.read_bytes()) == before


def test_a_renewal_can_leave_the_authority_as_it_is(kept: Tls) -> None:
    before, made = kept.ca.read_bytes(), certificate.request("plant-7")
    certificate.keep(kept, made, issued(made), None)
    assert kept.ca.read_bytes() == before
    assert kept.pair.read_bytes().startswith(made.key)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    made = certificate.request("plant-7")
    with pytest.raises(ConfigError, match="cannot be written"):
        certificate.keep(Tls(tmp_path / "tls"), made, issued(made), CA)


@pytest.mark.parametrize(("data", "says"), [(None, "cannot be read"), ("hello", "holds no certificate")])
def test_no_certificate_is_named_with_the_cure(tmp_path: Path, data: str | None, says: str) -> None:
    if data is not None:
        (tmp_path / "agent.pem").write_text(data)
    with pytest.raises(ConfigError, match=says) as caught:
        certificate.life(Tls(tmp_path))
    assert "agent enroll" in str(caught.value)


def test_renewals_are_spread_over_the_middle_of_a_life() -> None:
    life = Life(0.0, 100.0)
    assert (life.renewal(0.0), life.renewal(1.0)) == (pytest.approx(45.0), pytest.approx(72.6))
    drawn = {life.renewal() for _ in range(50)}
    assert len(drawn) > 40
    assert 45.0 <= min(drawn) <= max(drawn) <= 72.6
