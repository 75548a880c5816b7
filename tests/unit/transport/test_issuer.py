"""The issuer that a certificate names: read from its bytes, whatever they are."""

import ssl

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from agent.transport._issuer import issuer


def der(authority: trustme.CA) -> bytes:
    pem = authority.issue_cert("localhost").cert_chain_pems[0].bytes().decode()
    return ssl.PEM_cert_to_DER_cert(pem)


def test_names_of_the_issuer() -> None:
    certificate = der(trustme.CA(organization_name="Inspection Ltd", organization_unit_name="Proxy 7"))
    assert issuer(certificate) == "Proxy 7, Inspection Ltd"


def test_nothing_in_a_name_steers_a_terminal() -> None:
    assert "\x1b" not in issuer(der(trustme.CA(organization_name="a\x1b[31mb")))


def test_a_long_name_is_cut() -> None:
    assert len(issuer(der(trustme.CA(organization_name="x" * 60, organization_unit_name="y" * 60)))) <= 120


def test_a_name_without_a_bottom_is_no_matter() -> None:
    name = b""
    for _ in range(5000):
        length = len(name).to_bytes(3, "big")
        name = b"\x30\x83" + length + name
    certificate = b"\x02\x01\x01" + b"\x30\x00" + name
    for _ in range(2):
        certificate = b"\x30\x83" + len(certificate).to_bytes(3, "big") + certificate
    assert issuer(certificate) == ""


@given(st.binary(max_size=200))
def test_what_is_no_certificate_is_a_value_error_or_some_text(data: bytes) -> None:
    try:
        assert isinstance(issuer(data), str)
    except ValueError:
        return


def test_a_certificate_that_is_cut_short() -> None:
    whole = der(trustme.CA())
    for length in range(0, 120, 7):
        with pytest.raises(ValueError, match="not"):
            issuer(whole[:length])
