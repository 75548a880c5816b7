"""What a Router's operator makes up with the database and the CA key: results, manifests, agents. No client takes it."""

import asyncio
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.core.outcome import Failed
from agent.core.ports import Sealed
from agent.identity import certificate
from agent.wire.ids import new_ulid
from agent.wire.keys import SigningKey
from agent.wire.sealing import SealContext, manifest, seal
from agent.wire.signing import RESULT_TYPE, job_digest, sign_manifest
from router.client import ResultError
from router.core.agents import AgentId
from tests.router.operators import World, encoded, operated, payload_of, resigned, unsigned
from tests.support.routers import TENANT, WHO, WallClock, config, place

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with operated(tmp_path_factory.mktemp("forger")) as made:
        yield made


def forged(world: World, envelope: bytes, key: SigningKey, kid: str | None = None) -> tuple[bytes, bytes]:
    """A result that nothing is wrong with but its signature, sealed to the recipient."""
    context = SealContext(
        job_id=payload_of(envelope)["id"], job_digest=job_digest(envelope), result_id=new_ulid(time.time()), attempt=1,
        policy_version=1, policy_sha256="0" * 64, isolation="kernel", recipient=world.submitter.opening.public(),
    )  # fmt: skip
    sink = io.BytesIO()
    model = manifest(
        seal(Failed("source.error", "Made up.", "None."), context=context, sink=sink), audit_seq=1, audit_hash="0" * 64
    )
    token = sign_manifest(model, key)
    if kid is not None:
        token = resigned(payload_of(token), key, kid, RESULT_TYPE)
    return token, sink.getvalue()


Forgery = Callable[[World, bytes, tuple[bytes, bytes]], tuple[bytes, bytes]]
FORGERIES: dict[str, Forgery] = {
    "by a key of its own": lambda world, envelope, _: forged(world, envelope, SigningKey.generate()),
    "by a key of its own in the name of the pinned one": lambda world, envelope, _: forged(
        world, envelope, SigningKey.generate(), world.result_key.kid
    ),
    "by nobody": lambda world, envelope, _: (
        encoded(json.dumps({"alg": "none", "kid": world.result_key.kid, "typ": RESULT_TYPE}).encode())
        + b"." + forged(world, envelope, SigningKey.generate())[0].split(b".")[1] + b".",
        forged(world, envelope, SigningKey.generate())[1],
    ),
    "under a genuine signature": lambda world, envelope, real: (
        unsigned(real[0], payload_of((made := forged(world, envelope, SigningKey.generate()))[0])), made[1]
    ),
    "its own parts under the genuine manifest": lambda world, envelope, real: (
        real[0], forged(world, envelope, SigningKey.generate())[1]
    ),
    "the genuine manifest with another outcome": lambda _, __, real: (
        unsigned(real[0], {**payload_of(real[0]), "outcome": "failed", "code": "source.error"}), real[1]
    ),
    "the genuine manifest with another recipient": lambda world, _, real: (
        unsigned(real[0], {**payload_of(real[0]), "recipient": SigningKey.generate().kid}), real[1]
    ),
    "cut short": lambda _, __, real: (real[0], real[1][:-1]),
    "without its last part": lambda _, __, real: (real[0], b""),
    "more than it was": lambda _, __, real: (real[0], real[1] + b"\0\0\0\0"),
}  # fmt: skip


@pytest.mark.parametrize("how", FORGERIES)
def test_a_result_that_it_made_is_not_believed(world: World, how: str) -> None:
    with world.client() as client:
        job = client.sql("select 1 as one", source="shop")
        list(job.stream())
        real = world.operator.result(job.id)
        world.operator.put_result(job.id, *FORGERIES[how](world, world.operator.envelope(job.id), real))
        for digest in (job.digest, None):
            with pytest.raises(ResultError) as raised:
                client.job(job.id, digest).wait(30, keep=True)
            assert raised.value.code == "result.untrusted"
        world.operator.put_result(job.id, *real)
        assert job.wait(30).rows() == [{"one": 1}]


async def ghost(world: World, folder: Path) -> str:
    """An agent that the operator mints with the CA's key takes a pool's job and answers it; the job's id."""
    made, operator = certificate.request("ghost"), world.operator
    issued = operator.authority().agent(made.csr.encode(), AgentId(tenant=TENANT, name="ghost"), time.time())
    columns = "tenant, name, pool, labels, enrolled, not_after, serial"
    row = (TENANT, "ghost", "ghosts", "{}", 0, issued.not_after, issued.serial)
    operator.sql(f"INSERT INTO agents ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
    tls = certificate.Tls(folder / "tls")
    certificate.keep(tls, made, issued.pem, operator.authority().certificate_pem().decode())
    transport = config(world.router).open(place(folder, tls), WHO, WallClock())
    async with world.aclient() as client:
        job = await client.sql("select 1 as one", source="shop", to="pool:ghosts")
        try:
            (offer,) = await transport.offers({"sql": 1})
            assert await transport.begin(offer.ref)
            token, parts = forged(world, offer.envelope, SigningKey.generate())
            (folder / "parts").write_bytes(parts)
            sealed = Sealed(
                job_id=job.id, result_id=payload_of(token)["result_id"], manifest=token, parts=folder / "parts",
                result_until=time.time() + 60,
            )  # fmt: skip
            await transport.deliver(sealed)
        finally:
            await transport.aclose()
    return job.id


def test_an_agent_that_it_mints_is_not_believed(world: World, tmp_path: Path) -> None:
    job = asyncio.run(ghost(world, tmp_path))
    assert world.router.job(job).agent == "ghost", "the Router believed it"
    assert world.router.state(job) == "failed"
    with world.client() as client, pytest.raises(ResultError, match="pin it"):
        client.job(job).wait(30)
