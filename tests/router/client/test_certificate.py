"""A client that shows a certificate instead of a token."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from agent.wire.ids import new_ulid
from agent.wire.profile import parse
from router.ca.authority import Authority, Key, new_key, private_pem
from router.ca.names import SubmitterId
from router.client import Client, ConfigurationError, RouterError, RouterUnavailableError
from router.core import ops
from router.core.agents import NewToken
from router.server.enroll import certified
from router.service.files import load
from tests.router.client.conftest import World

DOMAIN = "example.org"


@pytest.fixture
def certificate(world: World, tmp_path: Path) -> Callable[..., Path]:
    """As `router token certificate` makes it: a file, and a record."""

    def make(name: str, *, authority: Authority | None = None, made: float = 0.0, record: bool = True) -> Path:
        key, who = new_key(), SubmitterId(tenant="acme", name=name)
        issuer = authority or load(world.files, DOMAIN)
        issued = issuer.submitter(key, who, made or time.time(), days=1)
        if record:
            token = NewToken(
                id=new_ulid(time.time()), hash=certified(who, DOMAIN), kind="submit", tenant="acme", pools=("p",),
                labels={}, uses=None, expires=None, created=0,
            )  # fmt: skip
            world.run(world.hub.writer.do(ops.PutToken(token)))
        return written(tmp_path / f"{name}.pem", key, issued.pem)

    return make


def written(path: Path, key: Key, pem: str) -> Path:
    path.write_bytes(private_pem(key) + pem.encode())
    return path


def of(world: World, file: Path | None, **other: Any) -> Client:
    return world.client(**{"token": None, "certificate": file, **other})


def test_it_does_what_a_token_does(world: World, certificate: Callable[..., Path]):
    with of(world, certificate("ann")) as client:
        job = client.sql("select 1", source="shop")
        assert job.wait(30).rows()
        assert job.status().ended
        with pytest.raises(RouterError) as refused:
            client.sql("select 1", source="shop", to="pool:other")
        assert refused.value.code == "auth.scope"


def test_a_profile_names_it(world: World, profile: Path, certificate: Callable[..., Path], tmp_path: Path):
    certificate("profile")
    model = parse((profile / "profile.json").read_bytes())
    for name in (model.signing_key, model.opening_key):
        (tmp_path / name).write_bytes((profile / name).read_bytes())
    own = model.model_copy(update={"token_file": None, "certificate_file": "profile.pem"})
    (tmp_path / "profile.json").write_bytes(own.model_dump_json().encode())
    with Client.from_profile(tmp_path) as client:
        assert client.sql("select 1", source="shop").wait(30).rows()


@pytest.mark.parametrize("how", ["without a record", "of another CA", "that has ended"])
def test_one_that_does_not_count(world: World, certificate: Callable[..., Path], how: str):
    more: dict[str, dict[str, Any]] = {
        "without a record": {"record": False},
        "of another CA": {"authority": Authority.make(DOMAIN, time.time())},
        "that has ended": {"made": time.time() - 200_000},
    }
    file = certificate(f"n{len(how)}", **more[how])
    with of(world, file) as client, pytest.raises(RouterError) as refused:
        client.sql("select 1", source="shop")
    expected = "auth.invalid" if how == "without a record" else "router.refused"
    assert refused.value.code == expected
    assert isinstance(refused.value, RouterUnavailableError) is (expected == "router.refused")


def test_a_token_or_a_certificate_and_not_both(world: World, certificate: Callable[..., Path]):
    for other in ({"token": "t", "certificate": certificate("both")}, {"token": None}):
        with pytest.raises(ConfigurationError) as raised:
            world.client(**other)
        assert raised.value.code == "router.token"


def test_files_that_are_none(world: World, tmp_path: Path, certificate: Callable[..., Path]):
    """A key under a password is none either: nobody is asked on a terminal."""
    whole, key = certificate("whole").read_text(), new_key()
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
    pem = whole[whole.index("-----BEGIN CERT") :]
    for text in ("", "no", pem, private_pem(key).decode() + pem, locked + pem):
        (tmp_path / "file.pem").write_text(text)
        with pytest.raises(ConfigurationError) as raised:
            of(world, tmp_path / "file.pem")
        assert raised.value.code == "router.client_certificate"
    with pytest.raises(ConfigurationError, match="nowhere"):
        of(world, tmp_path / "nowhere")
