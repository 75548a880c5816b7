"""A sealed result of 1 GiB from the agent's transport to a Router over a link that is cut: memory, and bytes sent."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.wire.ids import new_ulid
from agent.wire.models import PART_BYTES, TAG_BYTES
from benchmarks.figures import Figure, peak
from benchmarks.routing import Made, Place, decoded, encoded, made
from tests.support.relays import Relay

GROUP = "router, a result of 1 GiB"
PARTS = 256
PART = PART_BYTES + TAG_BYTES
LIMIT_MIB = 150.0
SECONDS = 60.0
"""For the upload; one that takes longer is given up, and says so in a figure."""


def run(folder: Path) -> Iterator[Figure]:
    """Peak memory of both processes, and how much more than the result went over the link."""
    place = Place(folder / "site")
    (pair,) = place.enroll(1)
    (job,) = made(1)
    place.put([job.submit()])
    parts = folder / "parts"
    manifest = _sealed(parts, job)
    with place.serving(result_bytes=2 * 2**30) as process, Relay(place.port) as relay:
        relay.most = PARTS * PART // 2
        begun = time.perf_counter()
        said = _uploaded(place, pair, relay.port, folder, manifest)
        seconds, router = time.perf_counter() - begun, peak(process.pid) / 2**20
        late = Figure(group=GROUP, name=f"not done in {SECONDS:.0f} s", value=float(said is None), unit="", limit=0.0)
        if said is None:
            yield late
            return
        if said["tries"] < 2:
            raise SystemExit("the link was not cut")
        extra = relay.up - PARTS * PART
    yield late
    detail = {"seconds": seconds, "tries": said["tries"]}
    for name, value in (("the Router's most memory", router), ("the agent's most memory", said["mib"])):
        yield Figure(group=GROUP, name=name, value=value, unit="MiB", limit=LIMIT_MIB, detail=detail)
    # A part that was under way at the cut is sent again; so are the headers of all.
    most = 3 * PART / 2**20
    yield Figure(group=GROUP, name="sent twice after a cut", value=extra / 2**20, unit="MiB", limit=most, detail=detail)


def _sealed(path: Path, job: Made) -> dict[str, str]:
    """Parts of chance, which is what sealed ones look like, and a manifest that names them."""
    named = []
    with path.open("wb") as file:
        for _ in range(PARTS):
            part = os.urandom(PART)
            named.append({"sha256": hashlib.sha256(part).hexdigest(), "size": PART})
            file.write(PART.to_bytes(4, "big") + part)
    length = int.from_bytes(job.result.mres[8:12], "big")
    head, payload, signature = job.result.mres[12 : 12 + length].split(b".")
    result = new_ulid(time.time())
    said = {**json.loads(decoded(payload)), "result_id": result, "parts": named}
    token = b".".join((head, encoded(json.dumps(said).encode()), signature))
    return {"job": job.id, "result": result, "manifest": token.decode(), "parts": str(path)}


def _uploaded(place: Place, pair: Path, port: int, folder: Path, sealed: dict[str, str]) -> dict[str, float] | None:
    asked = {**sealed, "url": f"https://localhost:{port}", "ca": str(place.files.ca), "pair": str(pair)}
    (folder / "asked.json").write_text(json.dumps(asked))
    command = [sys.executable, "-m", "benchmarks.uploader", str(folder / "asked.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process, _ended_after(SECONDS, process):
        assert process.stdout is not None
        said = process.stdout.read()
    if process.returncode != 0:
        return None
    return dict(json.loads(said))


@contextmanager
def _ended_after(seconds: float, process: "subprocess.Popen[bytes]") -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
