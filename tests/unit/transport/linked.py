"""One agent's end of a link to a real Router, for the tests of its parts."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.core.outcome import Failed
from agent.core.ports import Offer, Sealed
from agent.identity.certificate import Tls
from agent.transport._http import Http, Reach
from agent.transport._https import Https
from agent.transport._tls import Material
from agent.wire.ids import new_ulid
from agent.wire.keys import SigningKey
from agent.wire.sealing import SealContext, manifest, seal
from agent.wire.signing import job_digest, sign_manifest
from tests.support import routers
from tests.support.routers import RouterThread, Submitter, WallClock

RESULT_KEY = SigningKey.generate()


@dataclass
class Told:
    """Hears what the Router says."""

    cancelled: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    drained: int = 0

    def cancel(self, ref: str) -> None:
        self.cancelled.append(ref)

    def lost(self, ref: str) -> None:
        self.gone.append(ref)

    def drain(self) -> None:
        self.drained += 1


@dataclass
class Agent:
    """A folder, an identity, and as many runs of the transport over them as are opened."""

    router: RouterThread
    folder: Path
    tls: Tls
    clock: WallClock = field(default_factory=WallClock)
    submitter: Submitter = field(default_factory=Submitter)
    name: str = routers.AGENT

    def opened(self, **changes: Any) -> Https:
        return routers.config(self.router, **changes).open(
            routers.place(self.folder, self.tls), routers.WHO, self.clock
        )

    def http(self, **material: Any) -> Http:
        made = Material(**{"ca": self.router.files.ca, "certificate": self.tls.pair, **material})
        return Http(Reach((self.router.url,)), made)

    def job(self, **changes: Any) -> str:
        """A job for just this agent, handed in; its id."""
        job, envelope = self.submitter.envelope(audience=f"agent:{self.name}", **changes)
        self.router.submit(envelope)
        return job

    def sealed(self, offer: Offer, parts: bytes | None = None) -> Sealed:
        """A result for an offer: a stated failure, really sealed and signed."""
        result_id = new_ulid(time.time())
        context = SealContext(
            job_id=offer.ref,
            job_digest=job_digest(offer.envelope),
            result_id=result_id,
            attempt=1,
            policy_version=1,
            policy_sha256="0" * 64,
            isolation="none",
            recipient=self.submitter.opening.public(),
        )
        path = self.folder / f"{result_id}.parts"
        with path.open("wb") as sink:
            parcel = seal(Failed("source.error", "The engine said no.", "Look."), context=context, sink=sink)
        signed = sign_manifest(manifest(parcel, audit_seq=1, audit_hash="0" * 64), RESULT_KEY)
        return Sealed(offer.ref, result_id, signed, path, time.time() + 3600)


async def one(transport: Https) -> Offer:
    """The next offer."""
    for _ in range(60):
        for offer in await transport.offers({"sql": 4, "python": 0}):
            return offer
    raise AssertionError("no offer came")


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    import anyio

    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - the other side is a thread
            await anyio.sleep(0.02)
