"""Statements without an end at a real server, and how long they outlive what ends them."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.acceptance.conftest import Site, environment, wait_until
from tests.support.silent import SILENT_AGENT

ENDLESS: Final = "SELECT count(*) AS n FROM " + " CROSS JOIN ".join(f"customers {name}" for name in "abcde")
PROMISED_SECONDS: Final = 1.0
"""What is promised: so long may a statement outlive what ended it, by the server's own clock."""
WALL_SECONDS: Final = 2.0
DRAIN_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 20.0
"""How long the test looks on, to tell a late end from none."""


class Look(NamedTuple):
    """A server at one moment: its clock in seconds, and how many sessions of the agent it has, and at work."""

    clock: float
    sessions: int
    working: int


@dataclass(frozen=True)
class Shop:
    """A site over a server that holds `customers`. `look` asks the server."""

    site: Site
    look: Callable[[], Look]

    def limited(self, folder: Path, **limits: object) -> "Shop":
        """The same with other limits, in another folder."""
        copied(self.site.folder, folder)
        settings = json.loads((self.site.folder / "sandbox.yaml").read_text())
        (folder / "sandbox.yaml").write_text(json.dumps(settings | {"limits": limits}))
        return replace(self, site=Site(folder))

    @contextmanager
    def asked(self) -> Iterator["subprocess.Popen[bytes]"]:
        """`agent exec` on the endless statement, when the server works on it."""
        command = [*SILENT_AGENT, "exec", self.site.query(ENDLESS), "--source", "shop"]
        pipe = subprocess.PIPE
        config = ["--config", str(self.site.folder)]
        with subprocess.Popen([*command, *config], stdout=pipe, stderr=pipe, env=environment()) as process:
            try:
                wait_until(lambda: self.look().working or process.poll() is not None)
                assert process.poll() is None, process.communicate()[1].decode()
                yield process
            finally:
                process.kill()  # where it is done, nothing happens

    def check_gone(self, since: float, after: float = 0.0) -> None:
        """No session of the agent outlives `since`, a time of the server's clock, and `after` seconds by the promise.

        Where more processes want to run than there are processors, all take as many times as long.
        """
        allowed = after + PROMISED_SECONDS * max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))
        deadline = time.monotonic() + allowed + _PATIENCE_SECONDS
        while (seen := self.look()).sessions:
            assert time.monotonic() < deadline, "the statement outlived its job"
            time.sleep(0.005)
        assert seen.clock - since <= allowed


def put(folder: Path, sources: Mapping[str, Any], policy: Mapping[str, Any], **secrets: str) -> Site:
    """A site's files."""
    settings = {"version": 1, "tenant": "acme", "state_dir": "state", "policy": "policy.yaml", "sources": sources}
    (folder / "sandbox.yaml").write_text(json.dumps(settings))
    (folder / "policy.yaml").write_text(json.dumps(policy))
    for name, text in secrets.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return Site(folder)


def copied(site: Path, folder: Path) -> None:
    """Everything of a site but its settings and what it has done."""
    for path in site.iterdir():
        if path.is_file() and path.name != "sandbox.yaml":
            (folder / path.name).write_bytes(path.read_bytes())
            (folder / path.name).chmod(path.stat().st_mode & 0o777)


def interrupt(shop: Shop) -> None:
    """Ctrl-C."""
    with shop.asked() as process:
        since = shop.look().clock
        process.send_signal(signal.SIGINT)
        shop.check_gone(since)
        process.communicate()
    assert process.returncode == 128 + signal.SIGINT


def killed_worker(shop: Shop) -> None:
    """SIGKILL of the process that runs the statement."""
    with shop.asked() as process:
        since = shop.look().clock
        for pid in workers(process.pid):
            os.kill(pid, signal.SIGKILL)
        shop.check_gone(since)
        _, complaint = process.communicate()
    assert b"worker.crashed" in complaint


def killed_agent(shop: Shop, after: float = 0.0) -> None:
    """SIGKILL of the agent itself: its processes end with it, and the server misses its client."""
    with shop.asked() as process:
        since = shop.look().clock
        process.kill()
        shop.check_gone(since, after)


def wall_limit(shop: Shop, folder: Path) -> None:
    """The time counts from the start of the job, which is before the statement's."""
    limited = shop.limited(folder, wall_seconds=WALL_SECONDS)
    with limited.asked() as process:
        since = limited.look().clock
        limited.check_gone(since, WALL_SECONDS)
        _, complaint = process.communicate()
    assert b"limit.wall" in complaint


def drained(shop: Shop, folder: Path) -> None:
    """SIGTERM of a service, whose job does not finish in the time that it is given."""
    command = [*SILENT_AGENT, "init", str(folder), "--tenant", "acme", "--name", "plant-7"]
    subprocess.run(command, check=True, capture_output=True, env=environment())
    copied(shop.site.folder, folder)
    settings = json.loads((shop.site.folder / "sandbox.yaml").read_text())
    drop = {"filedrop": {"path": "./drop", "poll_seconds": 0.05, "settle_seconds": 0.2}}
    settings |= {"agent": {"name": "plant-7"}, "trust": "trust.json", "transport": drop}
    (folder / "sandbox.yaml").write_text(json.dumps(settings | {"limits": {"drain_seconds": DRAIN_SECONDS}}))
    site = Site(folder)
    service = site.start()
    try:
        site.json("submit", site.query(ENDLESS), "--source", "shop")
        wait_until(lambda: shop.look().working)
        since = shop.look().clock
        service.send_signal(signal.SIGTERM)
        shop.check_gone(since, DRAIN_SECONDS)
        assert service.wait(_PATIENCE_SECONDS) == 0
    finally:
        service.kill()
        service.wait()


def workers(parent: int) -> Iterator[int]:
    """Processes that a warm server below `parent` runs, the newest last."""
    for server in _children(parent):
        yield from _children(server)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(child) for task in tasks for child in task.read_text().split())
