"""`python -m benchmarks.routerd JSON`: a Router as a process, which commits as many operations together as it is told.

JSON: `folder`, `port`; optional `most` (operations in a commit), `database` (an address), `result_bytes`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from router.serve import hub_of, server_of
from router.service import files as disk
from router.service.files import Files
from router.service.hub import Terms
from router.service.writer import MOST_IN_A_BATCH, Writer

DOMAIN = "example.org"


def main(asked: dict[str, Any]) -> None:
    """Serve until SIGTERM."""
    files = Files(Path(asked["folder"]))
    terms = Terms(result_bytes=asked.get("result_bytes", Terms().result_bytes), connections=100_000)
    hub = hub_of(files, disk.load(files, DOMAIN), terms, database=asked.get("database"))
    writer = Writer(hub.store, most=asked.get("most", MOST_IN_A_BATCH))
    hub.writer = hub.parking._writer = writer  # noqa: SLF001 - nobody but a benchmark wants a slower one
    server_of(hub, files, "127.0.0.1", asked["port"], "0").run()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
