"""A trivial SQL job over a Router, a real agent and the real client: from the submission to the opened result."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, milliseconds
from benchmarks.routerd import DOMAIN
from benchmarks.routing import wait_for
from benchmarks.service import _service as service
from benchmarks.service import _status_with as status_with
from router.client import AsyncClient
from tests.support.servers import free_port

GROUP = "router, a whole job"
LIMIT_MS = 60.0
ROUNDS = 60
WARM = 5
SECONDS = 40.0
"""At most: what is done by then counts."""
_PROGRAMS = Path(sys.executable).parent
_DEMO = Path(__file__).parents[1] / "config/demo/shop"


def run(folder: Path) -> Iterator[Figure]:
    """One at a time; the agent's next process stands by."""
    data = folder / "router"
    with _router(data) as port:
        site = _site(folder / "site", data, port)
        with service(site):
            status_with(site, "taking_jobs")
            seconds = asyncio.run(_jobs(site / "submitter"))
    detail = milliseconds(seconds)
    title = "submission → opened result, p50"
    yield Figure(group=GROUP, name=title, value=detail["median"], unit="ms", limit=LIMIT_MS, detail=detail)


@contextmanager
def _router(data: Path) -> Iterator[int]:
    port = free_port()
    _done("router", "init", "--data", data, "--domain", DOMAIN)
    command = [str(_PROGRAMS / "router"), "serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(30)


def _site(site: Path, data: Path, port: int) -> Path:
    """An agent that is enrolled, over the demo's shop, and its first submitter."""
    _done("agent", "init", site, "--router", f"https://localhost:{port}", "--ca-file", data / "ca-bundle.pem")
    shutil.copytree(_DEMO, site / "shop")
    config = site / "sandbox.yaml"
    config.write_text(config.read_text().replace("sources: {}", "sources: {shop: {type: duckdb, path: ./shop}}"))
    token = site.parent / "enroll.token"
    _done("router", "token", "create", "--data", data, "--tenant", "default", "--pool", "default", "--output", token)
    _done("agent", "enroll", "--config", site, "--token-file", token)
    own = site / "submitter/router.token"
    _done("router", "token", "create", "--data", data, "--tenant", "default", "--submit", "--output", own)
    return site


def _done(program: str, *arguments: str | Path) -> None:
    subprocess.run([_PROGRAMS / program, *arguments], check=True, stdout=subprocess.DEVNULL)


async def _jobs(profile: Path) -> list[float]:
    seconds: list[float] = []
    async with AsyncClient.from_profile(profile) as client:
        until = time.perf_counter() + SECONDS
        while len(seconds) < ROUNDS + WARM and time.perf_counter() < until:
            begun = time.perf_counter()
            job = await client.sql("SELECT 1 AS one", source="shop")
            result = await job.wait(60)
            seconds.append(time.perf_counter() - begun)
            if result.rows() != [{"one": 1}]:
                raise SystemExit("the job has another result")
            await asyncio.sleep(0.1)  # the next process is ready by then
    return seconds[WARM:]
