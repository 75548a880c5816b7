"""Nothing protected stays anywhere: not on disk, not in the spool, the audit, the logs or the service's memory."""

import contextlib
import os
import re
import signal
import stat
import tempfile
from pathlib import Path

import duckdb
import pytest

CANARIES = [b"900-55-00", b"leak-test", b"+1555019", b"49290000000", b"1903-02-"]
ASKS = [
    "SELECT * FROM customers",
    "SELECT CAST(ssn AS INTEGER) FROM customers",
    "SELECT name FROM customers ORDER BY ssn, email",
    "SELECT string_agg(email, ',') FROM customers GROUP BY city",
    "SELECT * FROM v_contacts JOIN v_payroll ON true",
    "SELECT ssn || 1/0 FROM employees WHERE salary > 1",
]


def files_under(*folders: Path) -> set[Path]:
    """Plain files: what other tests leave about (a FIFO, say) must not be opened."""
    found = set()
    for folder in folders:
        for root, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):  # another account's, or gone
                    if stat.S_ISREG((Path(root) / name).lstat().st_mode):
                        found.add(Path(root) / name)
    return found


def temporary_files() -> set[Path]:
    """Files under the machine's temporary folder, but for those of tests and servers that run at the same time."""
    top = Path(tempfile.gettempdir())
    mine = [path for path in top.iterdir() if not path.name.startswith(("pytest-of-", "test-pg-", "test-my-"))]
    return files_under(*(path for path in mine if path.is_dir())) | {path for path in mine if path.is_file()}


def holders(paths):
    """Files that hold a canary."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            data = path.read_bytes()
            found += [str(path)] if any(canary in data for canary in CANARIES) else []
    return found


def memory_of(pid: int) -> bytes:
    """What is mapped writable in a process, read through /proc."""
    parts = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in maps:
            start, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if "w" not in mode or "[v" in line:
                continue
            with contextlib.suppress(OSError, ValueError, OverflowError):
                memory.seek(int(start, 16))
                parts.append(memory.read(int(end, 16) - int(start, 16)))
    return b"".join(parts)


@pytest.fixture(scope="module")
def big(site):
    """Enough protected rows that a sort of them does not fit the job's memory."""
    with duckdb.connect(str(site.folder / "shop.duckdb")) as con:
        con.execute(
            "CREATE TABLE visits AS SELECT i AS id, '900-55-00' || (i % 100) AS ssn, md5(i::VARCHAR) AS note,"
            " repeat(md5((i * 7)::VARCHAR), 8) AS blob_text FROM range(1500000) AS r(i)"
        )
        con.execute("CHECKPOINT")
    policy = site.folder / "policy.yaml"
    policy.write_text(policy.read_text() + '  - {match: "*.*.visits.ssn", rule: redact}\n')
    config = site.folder / "sandbox.yaml"
    config.write_text(config.read_text() + "limits: {memory_mb: 400}\n")
    return site


@pytest.mark.full
def test_no_trace_is_left(big):
    site = big
    sources = {site.folder / "shop.duckdb", site.folder / "ledger.sqlite"}
    before = temporary_files()
    with site.running() as service:
        for number, ask in enumerate(ASKS):
            site.cli("submit", site.query(ask, f"q{number}.sql"), "--source", "shop", "--wait")
        sorted_ = site.cli(
            "submit", site.query("SELECT * FROM visits ORDER BY note, blob_text"), "--source", "shop", "--wait"
        )
        assert "limit." in sorted_.stderr, sorted_.stderr
        assert not [canary for canary in CANARIES if canary in memory_of(service.pid)]
        for name in ("environ", "cmdline"):
            assert not [c for c in CANARIES if c in Path(f"/proc/{service.pid}/{name}").read_bytes()]
    assert holders(files_under(site.folder) - sources) == []
    assert holders(temporary_files() - before) == []


@pytest.mark.full
def test_no_file_is_left_by_a_killed_sort(big, until):
    site = big
    service = site.start()
    beside = {path for path in files_under(site.folder) if "state" not in path.parts and "drop" not in path.parts}
    temporary = temporary_files()
    try:
        ask = "SELECT count(*) FROM (SELECT * FROM visits ORDER BY note, blob_text), range(1000)"
        site.json("submit", site.query(ask), "--source", "shop")
        processing = site.drop / "processing"
        until(lambda: list(processing.glob("*.mjob")))
        until(lambda: len(worker_of(service.pid)) > 1)  # one works, the next stands by
    finally:
        service.send_signal(signal.SIGKILL)
        service.wait()
    until(lambda: not alive_in(service.pid))
    now = {path for path in files_under(site.folder) if "state" not in path.parts and "drop" not in path.parts}
    assert now - beside - {site.folder / "query.sql"} == set()
    assert holders(temporary_files() - temporary) == []
    assert holders(files_under(site.folder / "state", site.drop)) == []


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(entry.parent.name))
    return found


FAMILY: dict[int, set[int]] = {}


def worker_of(pid: int) -> list[int]:
    """The grandchildren: workers below the warm server. Remembered, to see them end."""
    below = [grandchild for child in children(pid) for grandchild in children(child)]
    FAMILY.setdefault(pid, set()).update(below, children(pid))
    return below


def alive_in(pid: int) -> list[int]:
    return [one for one in FAMILY.get(pid, ()) if Path(f"/proc/{one}").exists()]
