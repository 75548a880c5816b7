"""`agent enroll --if-needed`: a certificate that still counts is left alone, and no token is asked for."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from agent.cli import enroll as command
from agent.core.errors import ConfigError
from agent.identity import certificate
from agent.identity.certificate import Tls

SANDBOX = """
version: 1
mode: cloud
tenant: acme
agent: {name: east-1}
state_dir: ./state
transport: {https: {urls: ["https://router.invalid:1"]}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sandbox.yaml").write_text(SANDBOX)
    return tmp_path


def certify(folder: Path, hours: float) -> bytes:
    """A certificate over the agent's key that ends in so many hours."""
    made = certificate.request("east-1")
    request = x509.load_pem_x509_csr(made.csr.encode())
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(issuer_name=request.subject, subject_name=request.subject)
    builder = builder.public_key(request.public_key()).serial_number(7)
    builder = builder.not_valid_before(now - dt.timedelta(days=2))
    signed = builder.not_valid_after(now + dt.timedelta(hours=hours)).sign(
        ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()
    )
    tls = Tls(folder / "state/identity/tls")
    certificate.keep(tls, made, signed.public_bytes(certificate.serialization.Encoding.PEM).decode(), None)
    return tls.pair.read_bytes()


def enrol(folder: Path, *, if_needed: bool) -> int:
    return command.enroll(None, token_file=str(folder / "missing"), if_needed=if_needed, config=folder)


def test_one_that_counts_is_left_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = certify(folder, hours=1)
    assert enrol(folder, if_needed=True) == 0
    assert "nothing was done" in capsys.readouterr().out
    assert (folder / "state/identity/tls/agent.pem").read_bytes() == before


def test_one_that_has_ended_needs_a_token(folder: Path) -> None:
    certify(folder, hours=-1)
    with pytest.raises(ConfigError, match="--token-file"):
        enrol(folder, if_needed=True)


def test_one_that_cannot_be_read_needs_a_token(folder: Path) -> None:
    certify(folder, hours=1)
    (folder / "state/identity/tls/agent.pem").write_text("-----BEGIN CERTIFICATE-----\nnone\n")
    with pytest.raises(ConfigError, match="--token-file"):
        enrol(folder, if_needed=True)


def test_none_needs_a_token(folder: Path) -> None:
    with pytest.raises(ConfigError, match="--token-file"):
        enrol(folder, if_needed=True)


def test_without_the_option_it_enrols_again(folder: Path) -> None:
    certify(folder, hours=1)
    with pytest.raises(ConfigError, match="--token-file"):
        enrol(folder, if_needed=False)
