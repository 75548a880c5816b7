"""Real jobs in real processes: limits, isolation, and that nothing of one job is left for the next."""

import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.core.limits import Limits
from agent.sandbox import channel, landlock
from agent.sandbox.environment import ENVIRONMENT
from agent.service.launcher import ProcessLauncher

Run = Callable[..., Awaitable[Any]]
Pids = Any

pytestmark = pytest.mark.anyio


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_job_reports(run: Run) -> None:
    seen = await run("echo", say="hello")
    assert (seen.code, seen.reported, seen.said) == ("ok", True, "hello")


@pytest.mark.parametrize("do", ["sleep", "stubborn", "stop_itself"])
async def test_the_wall_limit_ends_what_does_not_end(run: Run, do: str) -> None:
    assert (await run(do, Limits(wall_seconds=0.3))).code == "limit.wall"


@pytest.mark.parametrize("do", ["spin", "stubborn_spin"])
async def test_the_cpu_limit(run: Run, do: str) -> None:
    assert (await run(do, Limits(wall_seconds=60, cpu_seconds=1))).code == "limit.cpu"


@pytest.mark.parametrize("do", ["grow", "grow_shared", "one_huge_allocation"])
async def test_the_memory_limit(run: Run, do: str) -> None:
    assert (await run(do, Limits(wall_seconds=60, memory_mb=64))).code == "limit.memory"


async def test_the_memory_limit_counts_the_jobs_own_memory_only(run: Run) -> None:
    """The server itself holds more than this limit, and every child maps all of that."""
    limits = Limits(memory_mb=40)
    assert (await run("hold", limits, mb=30)).said == 30 << 20
    assert (await run("hold", limits, mb=60)).code == "limit.memory"


async def test_the_limit_on_what_is_written(run: Run) -> None:
    seen = await run("flood_sink", Limits(bytes=1))
    assert seen.code == "limit.bytes"
    assert len(seen.parts) <= 65 << 20


@pytest.mark.parametrize(
    ("do", "code"),
    [
        ("segfault", "worker.crashed"),
        ("exit_silently", "worker.crashed"),
        ("say_ok_and_crash", "worker.crashed"),
        ("flood_answer", "worker.crashed"),
        ("no_space", "spool.full"),
    ],
)
async def test_other_ends(run: Run, do: str, code: str) -> None:
    seen = await run(do)
    assert (seen.code, seen.reported) == (code, False)


async def test_a_defect_is_logged_by_class_and_place_only(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    assert (await run("fail", secret="canary-4711")).code == "internal.error"
    assert "KeyError at unit/worker/hostile.py:" in caplog.text
    assert "canary" not in caplog.text


async def test_what_a_job_prints_goes_nowhere(run_with_stderr: tuple[Run, Path]) -> None:
    run, stderr = run_with_stderr
    assert (await run("print_secret", secret="canary-4712")).code == "ok"
    assert stderr.read_text() == ""


@pytest.mark.parametrize("ends", ["nothing", "sleep", "segfault"])
async def test_no_process_outlives_its_job(run: Run, pids: Pids, ends: str) -> None:
    seen = await run(ends, Limits(wall_seconds=0.5), before="leave_a_family", pids=pids.path)
    assert seen.code == {"nothing": "ok", "sleep": "limit.wall", "segfault": "worker.crashed"}[ends]
    assert [pid for pid in pids.read(5) if alive(pid)] == []


async def test_a_daemon_ends_with_its_job(run: Run, pids: Pids) -> None:
    assert (await run("nothing", before="orphan", pids=pids.path)).code == "ok"
    assert not alive(pids.read(1)[0])


async def test_jobs_run_side_by_side_and_end_apart(run: Run, pids: Pids) -> None:
    found = {}

    async def one(name: str, do: str, limits: Limits, **asked: object) -> None:
        found[name] = (await run(do, limits, **asked)).code

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: one("slow", "sleep", Limits(wall_seconds=1), before="record", pids=pids.path))
        tasks.start_soon(one, "big", "grow", Limits(memory_mb=64))
        for number in range(4):
            tasks.start_soon(one, f"quick {number}", "echo", Limits())
    assert found == {"slow": "limit.wall", "big": "limit.memory"} | {f"quick {n}": "ok" for n in range(4)}


async def test_forbidden_calls(run: Run) -> None:
    said = (await run("try_calls")).said
    assert said == dict.fromkeys(("fork", "execve", "listen", "inet", "unix", "memfd", "kill_server", "chmod"), "EPERM")


@pytest.mark.skipif(landlock.abi() < 4, reason="this kernel cannot confine TCP by port")
async def test_a_job_with_a_server_reaches_its_port_and_nothing_else(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own, socket.create_server(("127.0.0.1", 0)) as other:
        ports = own.getsockname()[1], other.getsockname()[1]
        seen = await run("try_network", connects=[["127.0.0.1", ports[0]]], other=ports[1])
    denied = ("bind", "listen", "udp", "raw", "mptcp", "unix", "netlink", "vsock")
    assert seen.said == {"own_port": "done", "other_port": "EACCES"} | dict.fromkeys(denied, "EPERM")


async def test_a_job_with_a_unix_socket_gets_no_other(run: Run) -> None:
    seen = await run("try_network", connects=[["/run/server", 5432]], other=1)
    assert seen.said == dict.fromkeys(seen.said, "EPERM") | {"unix": "done"}


async def test_paths_of_the_agent_are_hidden(run: Run, tmp_path: Path) -> None:
    hidden = {}
    for name in ("identity/result.jwk", "trust.json", "audit/audit-000001.jsonl", "spool/x.parts", "other/data.db"):
        path = tmp_path / "state" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("secret")
        hidden[str(path)] = "EACCES"
    source = tmp_path / "data" / "own.db"
    source.parent.mkdir()
    source.write_text("rows")
    folders = [
        str(tmp_path),
        str(tmp_path / "state"),
        str(source.parent),
        str(Path(__file__).parent),
        "/proc",
        "/tmp",
        "/",
    ]
    read = [
        *hidden,
        str(source),
        "/etc/passwd",
        f"/proc/{os.getpid()}/environ",
        "/proc/1/cmdline",
        "/proc/self/environ",
    ]
    said = (await run("try_paths", reads=[str(source)], read=read, list=folders)).said
    assert said["read"].pop(str(source)) == "done"
    assert said["read"] == hidden | dict.fromkeys(read[-4:], "EACCES")
    assert said["list"] == dict.fromkeys(folders, "EACCES")


async def test_nothing_can_be_written(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "own.db"
    source.write_text("rows")
    folders = ["/tmp", "/dev/shm", "/var/tmp", "/", str(tmp_path), sys.prefix, "/proc/self", str(Path(__file__).parent)]
    files = [str(source), "/proc/self/oom_score_adj"]
    said = (await run("try_paths", reads=[str(tmp_path)], make=folders, write=files)).said
    refusals = set(said["make"].values()) | set(said["write"].values())
    assert refusals <= {"EACCES", "EROFS", "ENOENT"}
    assert source.read_text() == "rows"


async def test_only_a_job_that_needs_the_sandbox_holds_its_channel(run: Run) -> None:
    service, workers = channel.pair()
    with service, workers:
        said = (await run("ask_the_sandbox", sandbox=workers.fileno())).said
        assert len(said) == 1
        received = channel.receive(service, 1)
        assert received is not None
        with os.fdopen(received[1][0], "rb") as pipe:
            assert pipe.read() == b"from the worker"
        for _ in range(2):  # the one that stood by while that job ran, and one forked after it
            assert (await run("sockets")).said == []


async def test_the_next_job_sees_nothing_of_the_one_before(run: Run) -> None:
    first, second = [(await run("look_around", before="read_status", say=say)).said for say in ("first", "second")]
    assert first == second
    assert second["earlier"] == []
    assert second["environ"] == dict(ENVIRONMENT)
    assert (second["cwd"], second["session"], second["core"]) == ("/", True, [0, 0])
    # stdin, stdout, stderr, parts, answer, the pinned cgroup file, and the one that the test opened itself.
    assert len(second["descriptors"]) == 7
    assert (second["dumpable"], second["oom"]) == (0, "700")
    none = "0" * 16
    assert second["status"] == {"CapEff": none, "CapPrm": none, "NoNewPrivs": "1", "Seccomp": "2"}


HOLDER = "import sys; kept = sys.stdin.readline(); print('ready', flush=True); sys.stdin.readline()"


def holds(pid: int, canary: bytes) -> bool:
    """Whether a process has these bytes in its writable memory."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            if "w" in rights:
                first, last = (int(end, 16) for end in span.split("-"))
                memory.seek(first)
                if canary in memory.read(last - first):
                    return True
    return False


def found_elsewhere(canary: str) -> bool:
    with subprocess.Popen([sys.executable, "-I", "-c", HOLDER], stdin=-1, stdout=-1, text=True) as other:
        print(canary, file=other.stdin, flush=True)
        assert other.stdout.readline() == "ready\n"
        found = holds(other.pid, canary.encode())
        other.kill()
    return found


async def test_the_server_never_holds_an_order(launcher: ProcessLauncher, run: Run) -> None:
    canary = os.urandom(16).hex()
    seen = await run("echo", say=canary)
    assert seen.said == canary
    assert found_elsewhere(canary), "the search finds nothing at all"
    assert not holds(launcher.server_pid, canary.encode())


async def test_arrow_computes_in_a_fork(run_with_arrow: Run) -> None:
    assert (await run_with_arrow("arrow")).said == [3998000, 4000000]


async def test_without_landlock_no_job_runs(run_without_landlock: Run, caplog: pytest.LogCaptureFixture) -> None:
    seen = await run_without_landlock("echo", say="I ran")
    assert (seen.code, seen.parts) == ("worker.isolation", b"")
    assert "landlock" in caplog.text


async def test_a_source_that_cannot_be_named_runs_no_job(run: Run) -> None:
    """Whatever goes wrong before the jail is locked."""
    seen = await run("echo", say="I ran", reads=["/etc/\0hosts"])
    assert (seen.code, seen.parts) == ("worker.isolation", b"")


SERVER = """
import sys, threading
from types import SimpleNamespace
from agent.worker import server
if sys.argv[1] == "thread":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
sys.exit(server.main(sys.argv[2:], pipeline=SimpleNamespace(warm=lambda: None)))
"""


def serve(how: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    mine, its = channel.pair()
    with its:
        arguments = ("--channel", str(its.fileno()), "--parent", str(os.getpid()))
        command = [sys.executable, "-I", "-c", SERVER, how, *arguments]
        return subprocess.Popen(command, pass_fds=(its.fileno(),), stderr=subprocess.PIPE), mine


def test_a_server_with_threads_refuses_to_serve() -> None:
    process, mine = serve("thread")
    with process, mine:
        _, said = process.communicate(timeout=30)
        assert process.returncode == 1
        assert b"libraries started threads" in said
        assert channel.receive(mine) is None


@pytest.mark.parametrize("how", ["close", "term"])
def test_an_idle_server_ends_when_it_is_told(how: str) -> None:
    process, mine = serve("alone")
    with process, mine:
        assert channel.receive(mine)[0]["landlock"] >= 1
        mine.close() if how == "close" else process.terminate()
        assert process.wait(timeout=30) == 0


def test_a_server_that_is_spoken_to_wrongly_ends() -> None:
    process, mine = serve("alone")
    with process, mine:
        channel.receive(mine)
        channel.send(mine, {"wall_seconds": 1})
        _, said = process.communicate(timeout=30)
        assert process.returncode != 0
        assert b"ChannelError" in said


WARM = """
import sys
from agent.sandbox.process import threads
from agent.worker import pipeline
pipeline.warm()
alone = len(threads())
import pyarrow
pyarrow.array([1, None])
print(alone, "pandas" in sys.modules)
"""


def test_what_ships_starts_no_thread_before_the_fork_and_never_loads_pandas() -> None:
    command = [sys.executable, "-I", "-c", WARM]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(ENVIRONMENT))
    assert done.stdout.split() == ["1", "False"]
