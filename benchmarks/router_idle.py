"""A thousand agents that wait: what each parked poll costs a Router of its own process, over TLS. Takes minutes."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.figures import Figure
from router.service.files import Files
from tests.router.server import site
from tests.support.servers import free_port

GROUP = "router, idle"
POLLS = 1000
SECONDS = 20
AT_ONCE = 20
"""Handshakes side by side: the Router's backlog is short on purpose."""


def run(folder: Path) -> Iterator[Figure]:
    """Memory of a connection, and the share of a processor that they take while nothing happens."""
    here = folder / "site"
    with site.running(here) as made:  # enrols one agent and opens its session
        agent = made.agent()
    with _serving(here) as (process, port):
        before = _resident(process.pid)
        cpu = asyncio.run(_idle(Files(here), agent, port, process.pid))
        kib = (_PEAK[process.pid] - before) / 1024 / POLLS
    yield Figure(group=GROUP, name=f"memory of each of {POLLS} polls", value=kib, unit="KiB", limit=150.0)
    yield Figure(group=GROUP, name=f"processor for {POLLS} polls", value=cpu * 100, unit="%", limit=5.0)


_PEAK: dict[int, int] = {}
"""Resident bytes by process, with all polls parked."""


@contextmanager
def _serving(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    router, port = Path(sys.executable).with_name("router"), free_port()
    subprocess.run([router, "init", "--data", folder, "--domain", site.DOMAIN], check=True, stdout=subprocess.DEVNULL)
    command = [str(router), "serve", "--data", str(folder), "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield process, port
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit("the Router did not start")


async def _idle(files: Files, agent: site.Agent, port: int, pid: int) -> float:
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(agent.pair)
    gate = asyncio.Semaphore(AT_ONCE)
    body = f'{{"session":"{agent.session}","free":{{"sql":1}}}}'.encode()
    head = f"POST /v1/lease?wait=60 HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: {len(body)}\r\n\r\n"

    async def poll() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with gate:
            reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            writer.write(head.encode() + body)
            await writer.drain()
            return reader, writer

    open_ = await asyncio.gather(*(poll() for _ in range(POLLS)))
    await asyncio.sleep(3)
    _PEAK[pid] = _resident(pid)
    began, cpu = time.monotonic(), _processor(pid)
    await asyncio.sleep(SECONDS)
    share = (_processor(pid) - cpu) / (time.monotonic() - began)
    if any(reader.at_eof() for reader, _ in open_):
        raise SystemExit("a poll ended by itself")
    for _, writer in open_:
        writer.transport.abort()
    return share


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _processor(pid: int) -> float:
    cells = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")
