from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from agent.core.errors import TransportError
from agent.core.lane import LANES
from agent.transport.filedrop import Config

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def config(path: Path, **changed: Any) -> Config:
    return Config(path=path, **{"poll_seconds": 0.01, "settle_seconds": 0, **changed})


async def test_folders_are_made_on_the_first_call(drop: Any, tmp_path: Path) -> None:
    made = config(tmp_path / "a/b/drop").open(drop.clock)
    assert not (tmp_path / "a").exists()
    assert await made.recovered() == []
    folders = {str(path.relative_to(tmp_path / "a/b/drop")) for path in (tmp_path / "a/b/drop").rglob("*")}
    assert folders == {
        "inbox", "inbox/tmp", "inbox/new", "processing", "outbox", "outbox/tmp", "outbox/new", "archive", "failed",
    }  # fmt: skip
    assert (tmp_path / "a/b/drop/processing").stat().st_mode & 0o027 == 0


async def test_a_folder_that_vanishes_later_is_not_made_again(drop: Any) -> None:
    transport = config(drop.root).open(drop.clock)
    await transport.recovered()
    (drop.root / "inbox/new").rmdir()
    with pytest.raises(TransportError, match="mount its volume"):
        await transport.offers(dict.fromkeys(LANES, 1))
    assert not (drop.root / "inbox/new").exists()


async def test_a_job_that_comes_while_it_waits_is_offered(drop: Any, whole: bytes) -> None:
    transport = config(drop.root).open(drop.clock)
    assert await transport.offers(dict.fromkeys(LANES, 4)) == []
    (drop.new / "a.mjob").write_bytes(whole)
    assert drop.names(await transport.offers(dict.fromkeys(LANES, 4))) == ["a.mjob"]


async def test_no_free_slot_means_no_offer(drop: Any, whole: bytes) -> None:
    transport = config(drop.root).open(drop.clock)
    (drop.new / "a.mjob").write_bytes(whole)
    for free in (0, -1):
        assert await transport.offers(dict.fromkeys(LANES, free)) == []
    assert drop.files("inbox/new") == {"a.mjob"}


async def test_waiting_for_offers_can_be_cancelled(drop: Any) -> None:
    transport = config(drop.root, poll_seconds=3600).open(drop.clock)
    with anyio.move_on_after(0.05) as scope:
        await transport.offers(dict.fromkeys(LANES, 4))
    assert scope.cancelled_caught


async def test_problems_are_there_without_waiting(drop: Any) -> None:
    transport = config(drop.root).open(drop.clock)
    assert transport.problems() == ()
    with transport._inbox._lock:
        assert transport.problems() == ()


@pytest.mark.parametrize(
    "changed",
    [{"poll_seconds": 0}, {"poll_seconds": float("inf")}, {"settle_seconds": -1}, {"other": 1}, {"kind": "https"}],
    ids=["zero", "infinite", "negative", "unknown", "kind"],
)
def test_a_bad_config_is_refused_without_its_values(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        Config(path=tmp_path / "canary", **changed)
    assert "canary" not in str(caught.value)
