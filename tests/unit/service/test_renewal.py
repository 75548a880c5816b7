"""The duty that keeps the certificate young: due once for each life, tried again until it holds, and said in words."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.core.errors import TransportError
from agent.identity import certificate
from agent.identity.certificate import Tls
from agent.service.board import Board
from agent.service.renewal import Renewal, life_of
from agent.wire import calls
from router.ca.authority import Authority
from router.core.agents import AgentId

pytestmark = pytest.mark.anyio
HOUR = 3600.0
BEGIN = 1_800_000_000.0
AUTHORITY = Authority.make("example.org", time.time())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Clock:
    seconds: float = BEGIN

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Router:
    """Certifies what it is asked to, or fails."""

    clock: Clock
    failure: TransportError | None = None
    asked: list[str] = field(default_factory=list)

    async def renew(self, csr: str) -> calls.Certificate:
        self.asked.append(csr)
        if self.failure is not None:
            raise self.failure
        issued = AUTHORITY.agent(csr.encode(), AgentId(tenant="acme", name="plant-7"), self.clock.now(), hours=24)
        return calls.Certificate(
            certificate=issued.pem,
            ca=AUTHORITY.certificate_pem().decode(),
            not_after=issued.not_after,
            tenant="acme",
            agent="plant-7",
            pool="p",
        )


@dataclass
class Site:
    tls: Tls
    clock: Clock = field(default_factory=Clock)
    board: Board = field(default_factory=Board)

    def __post_init__(self) -> None:
        self.router = Router(self.clock)
        self.renewal = Renewal(self.tls, "plant-7", self.router.renew, clock=self.clock, board=self.board)

    async def enroll(self) -> None:
        made = certificate.request("plant-7")
        issued = await self.router.renew(made.csr)
        certificate.keep(self.tls, made, issued.certificate, issued.ca)
        self.router.asked.clear()

    async def at(self, hours: float) -> str:
        """Look at this time of the first certificate's life; what the board says then."""
        self.clock.seconds = BEGIN + hours * HOUR
        await self.renewal.check()
        found = self.board.findings.get("certificate")
        return "" if found is None else found.line()


@pytest.fixture
async def site(tmp_path: Path) -> Site:
    made = Site(Tls(tmp_path / "tls"))
    await made.enroll()
    return made


async def test_it_is_renewed_in_the_middle_of_its_life_and_once(site: Site) -> None:
    before = site.tls.pair.read_bytes()
    assert await site.at(10.5) == ""
    assert site.router.asked == []
    assert await site.at(17.5) == ""
    assert len(site.router.asked) == 1
    assert site.tls.pair.read_bytes() != before
    life = life_of(site.tls)
    assert life is not None
    assert life.ends == BEGIN + (17.5 + 24) * HOUR
    await site.at(18)
    assert len(site.router.asked) == 1


async def test_when_it_is_due_is_drawn_once_for_each_life(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[float] = []

    def renewal(life: certificate.Life, chance: float | None = None) -> float:
        drawn.append(life.ends)
        return life.begins + 12 * HOUR

    monkeypatch.setattr(certificate.Life, "renewal", renewal)
    for hours in (1, 2, 11, 12, 13, 14):
        await site.at(hours)
    assert drawn == [BEGIN + 24 * HOUR, BEGIN + 36 * HOUR]
    assert len(site.router.asked) == 1


async def test_a_failure_says_how_long_there_is_and_is_tried_again(site: Site) -> None:
    site.router.failure = TransportError("Nobody answers. Fix: Check the way.")
    said = await site.at(18)
    assert said == "The certificate could not be renewed and ends in 6 h. Nobody answers. Fix: Check the way."
    said = await site.at(24.1)
    assert "has ended: run `agent enroll` again" in said
    assert len(site.router.asked) == 2
    site.router.failure = None
    assert await site.at(24.2) == ""
    assert len(site.router.asked) == 3


async def test_enrolling_again_takes_the_complaint_away(site: Site) -> None:
    site.router.failure = TransportError("Refused.")
    assert "has ended" in await site.at(30)
    site.router.failure = None
    await site.enroll()
    assert await site.at(30) == ""
    assert site.router.asked == []


async def test_a_damaged_file_is_named_and_a_missing_one_is_no_failure(site: Site) -> None:
    site.tls.pair.write_text("hello")
    assert "holds no certificate" in await site.at(1)
    assert "agent enroll" in await site.at(1)
    assert life_of(site.tls) is None
    site.tls.pair.unlink()
    assert await site.at(1) == ""
    assert site.router.asked == []
