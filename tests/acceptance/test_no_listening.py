"""No listening socket, ever: the kernel's own lists while jobs run, and the rule that all of these tests run under."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.links import HUNG, LinkSite
from tests.support.listeners import listening, tree
from tests.support.silent import SILENT

HERE = Path(__file__).parent
LISTEN = r"""
import socket, sys, threading
kind, family, place = sys.argv[1:]
def listen():
    it = socket.socket(getattr(socket, family), getattr(socket, kind))
    it.bind(place.replace("@", "\0") if family == "AF_UNIX" else (place, 0))
    try:
        if kind != "SOCK_DGRAM":
            it.listen()
        print("listens", flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
    sys.stdin.read()
thread = threading.Thread(target=listen)
thread.start()
thread.join()
"""
SOCKETS = [
    ("SOCK_STREAM", "AF_INET", "127.0.0.1"),
    ("SOCK_STREAM", "AF_INET6", "::1"),
    ("SOCK_STREAM", "AF_UNIX", "@meridyen-listens"),
    ("SOCK_SEQPACKET", "AF_UNIX", "@meridyen-listens-too"),
]
DATAGRAMS = ("SOCK_DGRAM", "AF_INET", "127.0.0.1")
PYTHON = "import time\nresult = time.sleep(600)\n"
SHOP = {"kind": "sql", "source": "shop", "statement": "select id from people"}


def asks(kind: str, family: str, place: str, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    """A process whose child tries to listen, until its standard input ends."""
    program = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', *sys.argv[1:]]))"
    command = [*prefix, sys.executable, "-c", program, LISTEN, kind, family, place]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("kind", "family", "place"), [*SOCKETS, DATAGRAMS])
def test_a_socket_that_listens_anywhere_in_a_tree_is_seen(kind: str, family: str, place: str) -> None:
    with asks(kind, family, place) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        (found,) = listening(tree(process.pid))
        assert listening([process.pid]) == [], "its child's"
        process.communicate()
    assert found.split()[1].startswith({"AF_UNIX": "unix"}.get(family, "udp" if kind == "SOCK_DGRAM" else "tcp"))


@pytest.mark.parametrize(("kind", "family", "place"), SOCKETS)
def test_under_the_rule_nothing_listens(kind: str, family: str, place: str) -> None:
    with asks(kind, family, place, SILENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "Operation not permitted\n"
        process.communicate()


def test_every_one_of_these_tests_starts_the_agent_under_the_rule() -> None:
    bare = re.compile(r'"-m",\s*"agent"(?!, "status")|-m agent\b')  # a look at the status starts nothing
    for path in sorted(HERE.rglob("*.py")):
        text = path.read_text()
        found = [line for line in text.splitlines() if bare.search(line) and path != Path(__file__)]
        assert found == [], f"{path.name}: begin the command with tests.support.silent.SILENT_AGENT"
        if "import serve" in text:
            assert text.index('seccomp.install((seccomp.Forbid(("listen",)),))') < text.index("return serve(")
        for bin_ in ("sys.prefix", 'with_name("agent")'):
            assert path == Path(__file__) or bin_ not in text, f"{path.name}: use tests.support.silent.environment"


@pytest.mark.full
@pytest.mark.timeout(300)
def test_nothing_listens_while_jobs_run_over_the_link(link: LinkSite) -> None:
    """Without the rule, which would hide it: from the start of the service to its end, whatever its processes do."""
    config = link.root / "sandbox.yaml"
    config.write_text(config.read_text().replace("slots: {sql: 3}", "slots: {sql: 2, python: 2}"))
    seen: set[int] = set()

    def look() -> None:
        pids = tree(process.pid)
        assert listening(pids) == []
        seen.update(pids)

    with link.service(free=True) as process:
        assert "Seccomp:\t0" in Path(f"/proc/{process.pid}/status").read_text()
        jobs = [link.submit(HUNG), link.submit(task={"kind": "python", "code": PYTHON, "inputs": {"people": SHOP}})]

        def running() -> bool:
            look()
            return link.status().get("jobs", {}).get("phases") == {"running": 2}

        link.wait(running, process)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            look()
            time.sleep(0.05)
        for job in jobs:
            link.call("POST", f"/jobs/{job}/cancel")
        link.wait(lambda: look() or link.settled(), process)
        link.end(process)
    assert link.check() == dict.fromkeys(jobs, "job.cancelled")
    assert len(seen) >= 5, "the service, two servers, a worker and a sandbox at least"
