"""What systemd is told: over a real datagram socket, by a real service."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.core.errors import ConfigError
from agent.service.board import Board, State
from agent.service.health import Health
from agent.service.notify import TICK_SECONDS, Manager, sentence

PID = 4711


class Systemd:
    """The manager's end."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.setblocking(False)

    def heard(self) -> list[str]:
        """Every datagram since the last call."""
        words: list[str] = []
        while True:
            try:
                words.append(self.sock.recv(4096).decode())
            except BlockingIOError:
                return words


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    manager = Systemd(str(tmp_path / "n"))
    yield manager
    manager.sock.close()


def manager_at(path: Path, **more: str) -> Manager:
    return Manager.of({"NOTIFY_SOCKET": str(path), **more}, PID)


def test_every_word_is_in_the_protocols_form(systemd: Systemd, tmp_path: Path) -> None:
    manager = manager_at(tmp_path / "n", WATCHDOG_USEC="60000000")
    before = time.monotonic_ns() // 1000
    for say in (manager.ready, manager.reloading, manager.stopping):
        say()
    ready, reloading, stopping = systemd.heard()
    assert (ready, stopping) == ("READY=1", "STOPPING=1")
    first, _, moment = reloading.partition("\nMONOTONIC_USEC=")
    assert first == "RELOADING=1"
    assert before <= int(moment) <= time.monotonic_ns() // 1000


def test_a_tick_feeds_the_watchdog_and_says_what_is_new(systemd: Systemd, tmp_path: Path) -> None:
    manager = manager_at(tmp_path / "n", WATCHDOG_USEC="60000000", WATCHDOG_PID=str(PID))
    manager.tick("online\nREADY=1")
    manager.tick("online READY=1")
    manager.tick("offline")
    assert systemd.heard() == ["WATCHDOG=1\nSTATUS=online READY=1", "WATCHDOG=1", "WATCHDOG=1\nSTATUS=offline"]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "6e7"},
        {"WATCHDOG_USEC": "-6"},
        {"WATCHDOG_USEC": "٦٠٠٠"},
    ],
)
def test_without_a_watchdog_of_its_own_it_says_only_what_is_new(
    systemd: Systemd, tmp_path: Path, more: dict[str, str]
) -> None:
    manager = manager_at(tmp_path / "n", **more)
    manager.tick("online")
    manager.tick("online")
    assert systemd.heard() == ["STATUS=online"]
    assert manager.tick_seconds == TICK_SECONDS


@pytest.mark.parametrize(("microseconds", "seconds"), [("60000000", TICK_SECONDS), ("3000000", 1.0), ("1500", 0.0005)])
def test_it_ticks_three_times_within_what_the_watchdog_allows(microseconds: str, seconds: float) -> None:
    manager = Manager.of({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": microseconds}, PID)
    assert manager.tick_seconds == pytest.approx(seconds)


@pytest.mark.parametrize("address", ["", "@", "/", "relative", "vsock:2:1234"])
def test_what_is_no_address_counts_as_no_manager(address: str, caplog: pytest.LogCaptureFixture) -> None:
    Manager.of({"NOTIFY_SOCKET": address}, PID).ready()
    assert caplog.messages == []


def test_an_abstract_address_is_reached() -> None:
    name = f"\0notify-{os.getpid()}"
    systemd = Systemd(name)
    try:
        Manager.of({"NOTIFY_SOCKET": "@" + name[1:]}, PID).ready()
        assert systemd.heard() == ["READY=1"]
    finally:
        systemd.sock.close()


def test_a_manager_that_is_gone_is_named_once_and_told_again_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manager = manager_at(tmp_path / "n")
    manager.tick("online")
    manager.tick("online")
    assert caplog.messages == ["the service manager cannot be told (No such file or directory)"]
    systemd = Systemd(str(tmp_path / "n"))
    try:
        manager.tick("online")
        assert systemd.heard() == ["STATUS=online"]
    finally:
        systemd.sock.close()


def test_a_manager_that_reads_nothing_holds_nothing_up(systemd: Systemd, tmp_path: Path) -> None:
    manager = manager_at(tmp_path / "n", WATCHDOG_USEC="60000000")
    for _ in range(2000):
        manager.tick("online")
    assert len(systemd.heard()) < 2000


def test_a_long_status_is_cut_between_characters(systemd: Systemd, tmp_path: Path) -> None:
    manager_at(tmp_path / "n").tick("é" * 2000)
    (word,) = systemd.heard()
    assert word == "STATUS=" + "é" * 256


def test_the_sentence_names_what_needs_a_hand_before_what_goes_on() -> None:
    board = Board()
    assert sentence(board, 0) == "starting, 0 running: beginning"
    board.state = State.ONLINE
    board.say("intake", "waiting for jobs")
    board.find("advice", Health("Nobody is trusted.", "add one.", note=True))
    assert sentence(board, 2) == "online, 2 running: waiting for jobs"
    board.find("disk", Health("The disk is full.", "free space."))
    assert sentence(board, 0).startswith("degraded, 0 running: The disk is full.")
    board.findings.clear()
    board.state = State.DRAINING
    board.say("drain", "waiting for 1 job")
    assert sentence(board, 1) == "draining, 1 running: waiting for 1 job"


@pytest.mark.anyio
async def test_a_service_is_ready_ticks_reloads_and_stops(
    bench: Any, systemd: Systemd, tmp_path: Path, until: Any
) -> None:
    def broken() -> Any:
        raise ConfigError("limits", "is no map.", "Write one.")

    bench.reload = broken
    bench.manager = manager_at(tmp_path / "n", WATCHDOG_USEC="60000")
    heard: list[str] = []

    def said(word: str) -> bool:
        heard.extend(systemd.heard())
        return any(word in each.splitlines() for each in heard)

    async with bench.running():
        await until(lambda: said("READY=1"))
        heard.clear()
        await until(lambda: said("WATCHDOG=1"))
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: said("READY=1"))
        assert [each.split("=")[0] for each in heard if each.startswith(("RELOADING", "READY"))] == [
            "RELOADING",
            "READY",
        ]
        heard.clear()
        await until(lambda: any("was not taken" in each for each in systemd.heard()))
        heard.clear()
    assert said("STOPPING=1")


@pytest.mark.anyio
async def test_a_loop_that_hangs_is_silent(systemd: Systemd, tmp_path: Path) -> None:
    manager = manager_at(tmp_path / "n", WATCHDOG_USEC="3000")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(manager.run, lambda: "online")
        await anyio.sleep(0.05)
        assert "WATCHDOG=1" in systemd.heard()
        time.sleep(0.05)  # noqa: ASYNC251 - the hang
        assert systemd.heard() == []
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
@pytest.mark.parametrize("patience", [30.0, 0.05])
async def test_it_is_ready_when_it_can_take_jobs_or_has_waited_long_enough(
    *, bench: Any, systemd: Systemd, tmp_path: Path, until: Any, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """A drop folder that is away for now: the service has started all the same."""
    monkeypatch.setattr("agent.service.supervisor.READY_SECONDS", patience)
    bench.manager = manager_at(tmp_path / "n")
    (tmp_path / "drop").rmdir()
    (tmp_path / "drop").write_text("no folder")
    heard: list[str] = []

    def ready() -> bool:
        heard.extend(systemd.heard())
        return "READY=1" in heard

    async with bench.running():
        if patience < 1:
            await until(ready)
        else:
            await anyio.sleep(0.3)
            assert not ready()
            (tmp_path / "drop").unlink()
            (tmp_path / "drop").mkdir()
            await until(ready)
