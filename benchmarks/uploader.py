"""`python -m benchmarks.uploader FILE`: the agent's transport leases a job, and hands its result over."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from agent.core.errors import TransportError
from agent.core.ports import Sealed
from agent.service.clock import SystemClock
from agent.transport.https import Config, Place, Who
from benchmarks.figures import peak


async def main(asked: dict[str, str]) -> None:
    """Prints its own most memory in MiB, and how often it tried."""
    folder = Path(asked["parts"]).parent / "state"
    place = Place(
        pair=Path(asked["pair"]), ca=Path(asked["ca"]), leases=folder / "leases", instance=folder / "instance.json"
    )
    config = Config(urls=(asked["url"],), ca_file=Path(asked["ca"]), wait_seconds=10, reconnect_seconds=0)
    transport = config.open(place, Who(version="1", labels={}, slots={"sql": 1}), SystemClock())
    (offer,) = await transport.offers({"sql": 1})
    if not await transport.begin(offer.ref):
        raise SystemExit("the job was not given")
    sealed = Sealed(
        job_id=asked["job"],
        result_id=asked["result"],
        manifest=asked["manifest"].encode(),
        parts=Path(asked["parts"]),
        result_until=time.time() + 3600,
    )
    tries = 0
    while True:
        tries += 1
        try:
            await transport.deliver(sealed)
            break
        except TransportError:
            await asyncio.sleep(0.5)
    print(json.dumps({"mib": peak(os.getpid()) / 2**20, "tries": tries}))
    await transport.aclose()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
