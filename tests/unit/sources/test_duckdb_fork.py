"""An engine that was opened before a fork serves the fork, once, and nobody else."""

import multiprocessing
import os
from pathlib import Path

import duckdb
import pytest

from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.table import Disclosure
from agent.sources import duckdb as source
from agent.sources.duckdb import Config

PLAN = MaskedPlan(sql="SELECT sum(a) AS s FROM main.t", parameters={}, disclosure=Disclosure("x", (), {}, 1, ""))


def total(path: Path) -> int:
    with Config(type="duckdb", path=path).open("x", Limits()) as connection:
        (batch,) = connection.run(PLAN).batches
        return batch.to_pylist()[0]["s"]  # type: ignore[attr-defined, no-any-return]


def in_a_fork(path: Path, answers: "multiprocessing.SimpleQueue[object]") -> None:
    inherited = source._warm.connection is not None
    answers.put((inherited, [total(path), total(path)], source._warm.connection is None))
    os._exit(0)


def in_a_server(path: Path, answers: "multiprocessing.SimpleQueue[object]") -> None:
    """A process of its own, as the worker server is: the engine must be its only thread."""
    source.warm()
    answers.put(len(list(Path("/proc/self/task").iterdir())))
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            in_a_fork(path, answers)
        os.waitpid(pid, 0)
    answers.put(source._warm.take() is None)
    os._exit(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "d.duckdb")) as con:
        con.execute("CREATE TABLE t AS SELECT range AS a FROM range(100000)")
    return tmp_path / "d.duckdb"


def test_every_fork_gets_the_engine_once_and_the_server_never(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    server = context.Process(target=in_a_server, args=(path, answers))
    server.start()
    threads = answers.get()
    told = [answers.get() for _ in range(3)]
    server.join(30)
    expected = sum(range(100_000))
    assert threads == 1
    assert told == [(True, [expected, expected], True)] * 2 + [True]
