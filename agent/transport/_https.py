"""Jobs and results over the calls of a Task Router: long polls for jobs, results part by part."""

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from io import BytesIO
from typing import BinaryIO, Final

from anyio import to_thread

from agent.core.errors import TransportError
from agent.core.lane import Lane
from agent.core.ports import Clock, LinkView, Offer, Phase, Rejection, Sealed, Told
from agent.transport._http import Http, Reach, RouterRefusalError
from agent.transport._instance import Instance
from agent.transport._leases import Leases
from agent.transport._session import Session
from agent.transport._terms import Place, Terms, Who
from agent.transport._tls import Material
from agent.wire import calls
from agent.wire.container import write_mres

MRES: Final = "application/vnd.meridyen.mres"
MANIFEST: Final = "application/jose"
INLINE_BYTES: Final = 500 * 1024
"""A sealed result up to this size goes in one call."""
_SLICE_BYTES: Final = 256 * 1024
_WORD: Final = 4
_LOGGER = logging.getLogger(__name__)
_LATE: Final = frozenset({"result.late", "lease.lost"})
"""A later attempt counts. Parts under an old lease are not even taken."""
_OVER: Final = frozenset({"lease.lost", "not_found", "job.ended"})


class Https:
    """Satisfies `agent.core.ports.Transport`. `ref` is the job's id: the same at every offer, and after a restart."""

    def __init__(self, config: Terms, place: Place, who: Who, clock: Clock) -> None:
        """Touches nothing before the first call."""
        self._place = place
        ca = config.ca_file or place.ca
        material = Material(ca=ca, certificate=place.pair, pins=config.pins, learned=place.ca)
        self._http = Http(Reach(config.urls, config.proxy, config.no_proxy), material)
        self._leases = Leases(place.leases)
        self._session = Session(
            self._http, self._leases, Instance(place.instance), who=who, clock=clock, wait=config.wait_seconds
        )

    def enrolled(self) -> bool:
        """Whether there is a certificate."""
        return self._place.pair.exists()

    async def run(self, told: Told, under_way: Callable[[str], bool]) -> None:
        """Renew leases and hear orders, as long as the service lives."""
        await self._session.run(told, under_way)

    async def announce_drain(self) -> None:
        """Take nothing more. Raises TransportError."""
        await self._session.drain()

    async def renew(self, csr: str) -> calls.Certificate:
        """Have a new key certified, over the certificate in use. Raises TransportError."""
        return _issued(await self._http.call(calls.Certificate, "POST", "/renew", json={"csr": csr}))

    async def aclose(self) -> None:
        """End the session and close the connections."""
        await self._session.aclose()
        await self._http.aclose()

    def view(self) -> LinkView:
        """How the link is, as far as it is known without asking."""
        return LinkView(
            session=self._session.id,
            leases=self._leases.count(),
            latency_seconds=self._http.latency_seconds,
            skew_seconds=self._http.skew_seconds,
        )

    async def report(self, ref: str, phase: Phase, rows: str | None = None) -> None:
        """Tell how far a running job is. Raises TransportError; nothing depends on it."""
        held = await to_thread.run_sync(self._leases.of, ref)
        if held is not None and held.accepted:
            body = {
                "lease": held.lease,
                "fence": held.fence,
                "phase": phase,
                **({} if rows is None else {"rows": rows}),
            }
            await self._http.tell("POST", f"/jobs/{ref}/events", json=body)

    def problems(self) -> Sequence[str]:
        """What the calls themselves cannot say."""
        return ()

    def waiting(self) -> tuple[int, float | None] | None:
        """How many jobs wait is the Router's to know."""
        return None

    async def offers(self, free: Mapping[Lane, int]) -> Sequence[Offer]:
        """Envelopes of these lanes, after at most one long poll. Each waits for `begin` a few seconds, no longer."""
        return [Offer(held.job, held.envelope) for held in await self._session.lease(free)]

    async def recovered(self) -> Sequence[Offer]:
        """Jobs that an earlier run held. Whether they are still this agent's, `begin` hears from the Router.

        Also those whose acceptance is not on record: the Router may have counted it, and waits for a result then.
        """
        return [Offer(held.job, held.envelope) for held in await to_thread.run_sync(self._leases.all)]

    async def begin(self, ref: str) -> bool:
        """The job is about to start: the Router counts the attempt. False: it must not start here any more."""
        return await self._session.accept(ref)

    async def reject(self, ref: str, rejection: Rejection) -> None:
        """A bare code: an envelope that was never trusted gets no words."""
        held = await to_thread.run_sync(self._leases.of, ref)
        if held is None:
            return
        body = {"lease": held.lease, "fence": held.fence, "code": rejection.code}
        try:
            await self._http.call(calls.Landed, "POST", f"/jobs/{ref}/reject", json=body)
        except RouterRefusalError as refusal:
            if refusal.code not in _OVER:
                raise
        await to_thread.run_sync(self._leases.drop, ref)

    async def deliver(self, sealed: Sealed) -> None:
        """Upload what the Router does not have, the manifest last. The same result twice is one result.

        A result that came too late for its lease was kept aside there: it counts as handed over.
        """
        held = await to_thread.run_sync(self._leases.of, sealed.job_id)
        if held is None:
            raise TransportError(
                f"The lease of job {sealed.job_id} is not known here, so that its result cannot be handed over. "
                "Fix: restore state_dir; else the result is dropped when its time is over."
            )
        query = f"lease={held.lease}&fence={held.fence}"
        path = f"/jobs/{sealed.job_id}/results/{sealed.result_id}"
        try:
            await self._deliver(sealed, path, query)
        except RouterRefusalError as refusal:
            if refusal.code not in _LATE:
                raise
            _LOGGER.warning("the result of %s came too late: a later attempt counts", sealed.job_id)

    async def _deliver(self, sealed: Sealed, path: str, query: str) -> None:
        size = await to_thread.run_sync(lambda: sealed.parts.stat().st_size)
        if size + len(sealed.manifest) < INLINE_BYTES:
            whole = await to_thread.run_sync(_whole, sealed)
            await self._complete(f"{path}?{query}", whole, MRES)
            return
        there = await self._http.call(calls.PartsHeld, "GET", f"{path}/parts?{query}")
        known = {} if there is None else there.parts
        stream = await to_thread.run_sync(sealed.parts.open, "rb")
        try:
            index = 0
            while part := await to_thread.run_sync(_next_part, stream):
                if known.get(str(index)) != await to_thread.run_sync(_digest, part):
                    headers = {"content-length": str(len(part))}
                    await self._http.tell(
                        "PUT", f"{path}/parts/{index}?{query}", content=_Slices(part), headers=headers
                    )
                index += 1
        finally:
            stream.close()
        await self._complete(f"{path}?{query}", sealed.manifest, MANIFEST)

    async def _complete(self, path: str, content: bytes, media: str) -> None:
        """A result is handed over when the Router says in so many words where its job stands now."""
        landed = await self._http.call(calls.Landed, "POST", path, content=content, headers={"content-type": media})
        if landed is None:
            raise TransportError("The Router did not say that it has the result. Fix: its version may be too old.")

    async def settle(self, ref: str) -> None:
        """Forget the lease. Idempotent."""
        await self._session.forget(ref)


async def enroll(config: Terms, *, token: str, name: str, csr: str, labels: Mapping[str, str]) -> calls.Certificate:
    """Have a fresh key certified under a one-time token. Raises TransportError.

    `config.ca_file` has to be the Router's CA, or None where its certificate is one that the system trusts.
    """
    http = Http(Reach(config.urls, config.proxy, config.no_proxy), Material(ca=config.ca_file, pins=config.pins))
    try:
        body = {"token": token, "name": name, "csr": csr, "labels": dict(labels)}
        return _issued(await http.call(calls.Certificate, "POST", "/enroll", json=body))
    finally:
        await http.aclose()


def _issued(certificate: calls.Certificate | None) -> calls.Certificate:
    if certificate is None:
        raise TransportError("The Router issued no certificate. Fix: its version may be too old.")
    return certificate


class _Slices:
    """A part, handed to the link piece by piece: each layer of it would copy a whole one. May be read again."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        """Bytes."""
        return len(self._data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces from the first on."""
        for start in range(0, len(self._data), _SLICE_BYTES):
            yield self._data[start : start + _SLICE_BYTES]


def _whole(sealed: Sealed) -> bytes:
    sink = BytesIO()
    with sealed.parts.open("rb") as parts:
        write_mres(sink, sealed.manifest, parts)
    return sink.getvalue()


def _next_part(stream: BinaryIO) -> bytes:
    """The next sealed part without its length; empty at the end."""
    length = stream.read(_WORD)
    return stream.read(int.from_bytes(length, "big")) if length else b""


def _digest(part: bytes) -> str:
    return hashlib.sha256(part).hexdigest()
