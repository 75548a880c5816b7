"""`make dev`: a Task Router, an agent and a demo source on this machine, in one terminal, until Ctrl-C.

Everything is started by the commands that an operator types, over mTLS on loopback; the agent enrols with a token that
is made for it. State stays in `build/dev` between runs; removing that folder begins anew.
"""

import argparse
import fcntl
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.dev_parts import DevError, Part, Place, own_terminal, prepare

READY_SECONDS = 60.0


def main() -> int:
    """Run until Ctrl-C: exit 0. Exit 1 with a sentence when it cannot start, or a part ended by itself."""
    asked = argparse.ArgumentParser(prog="make dev", description=__doc__)
    asked.add_argument("--folder", type=Path, default=Path("build/dev"), help="where state is kept")
    asked.add_argument("--port", type=int, default=8443, help="of the Router, on loopback")
    found = asked.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        with own_terminal(), _alone(found.folder):
            return _run(Place(found.folder, found.port), stop)
    except DevError as error:
        print(f"make dev: {error}", file=sys.stderr)
        return 1


def _run(place: Place, stop: threading.Event) -> int:
    begun = time.monotonic()
    _free(place.port)
    fresh = not place.done.exists()
    print(f"Setting up {place.folder} …" if fresh else f"Starting, with the state in {place.folder} …", flush=True)
    router, agent = Part("router", place.log("router")), Part("agent", place.log("agent"))
    try:
        prepare(place, router)
        agent.start("agent", "run", "--config", str(place.site))
        if not _answers(place, (router, agent), stop):
            return 0
        _tell(place, time.monotonic() - begun)
        while not stop.wait(0.2):
            for part in (router, agent):
                part.check()
        return 0
    finally:
        print("\nStopping: what runs is finished …", flush=True)
        agent.stop(60)
        router.stop(20)
        print("Stopped. The state is kept; `make dev` goes on with it.", flush=True)


def _answers(place: Place, parts: tuple[Part, ...], stop: threading.Event) -> bool:
    """Whether a first job came back before somebody stopped it all. Raises DevError."""
    from router.client import Client, ClientError, JobTimeoutError  # noqa: PLC0415 - after the programs were started

    deadline = time.monotonic() + READY_SECONDS
    try:
        with Client.from_profile(place.submitter) as client:
            job = client.sql("SELECT 1 AS one", source="shop")
            while not stop.is_set():
                for part in parts:
                    part.check()
                try:
                    job.wait(0.3)
                except JobTimeoutError as error:
                    if error.code != "wait.timeout" or time.monotonic() > deadline:
                        raise
                    continue
                return True
    except ClientError as error:
        raise DevError(f"the first job did not come back: {error} See {place.log('agent')}.") from None
    return False


def _tell(place: Place, seconds: float) -> None:
    programs = Path(sys.executable).parent
    programs = programs.relative_to(Path.cwd()) if programs.is_relative_to(Path.cwd()) else programs
    submit = f"{programs}/router submit --profile {place.submitter} --source shop"
    chart = f"{submit} --input orders=@{place.orders} --chart-format vega-lite {place.program}"
    print(
        f"""
Ready in {seconds:.1f} s: a Router at {place.url}, an agent with the source `shop`, and a first job came back.
Try in another terminal, in this folder:

  {submit} {place.question}
  {chart}
  {programs}/agent status --watch --config {place.site}

Logs: {place.log("router")}, {place.log("agent")}. Ctrl-C stops all.
""",
        flush=True,
    )


def _free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DevError(
                f"port {port} cannot be had ({error.strerror}). Another program may listen there: "
                f"stop it, or run `make dev PORT={port + 1}`."
            ) from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = folder / "make-dev.lock"
    if not lock.exists() and any(folder.iterdir()):
        raise DevError(f"{folder} holds something else. Name a new folder: `make dev DEV=build/dev`.")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DevError(f"another `make dev` uses {folder}. Stop it, or run `make dev DEV=build/other`.") from None
        yield


if __name__ == "__main__":
    sys.exit(main())
