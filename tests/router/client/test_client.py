"""What a caller does, over a real Router."""

import asyncio
import datetime as dt
import decimal
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import anyio
import pandas as pd
import polars as pl
import pytest

from agent.wire.container import read_mres
from agent.wire.keys import SigningKey, fingerprint
from router.client import (
    AsyncClient,
    Client,
    ConfigurationError,
    JobCancelledError,
    JobFailedError,
    JobRefusedError,
    JobTimeoutError,
    Keys,
    ResultError,
    RouterError,
    RouterUnavailableError,
)
from tests.router.client.conftest import World

HEAVY = "sqlglot duckdb RestrictedPython apscheduler pandas numpy pyarrow polars fastapi uvicorn starlette typer"


def test_the_client_loads_little():
    program = "import sys, json, router.client; json.dump(sorted(sys.modules), sys.stdout)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "httpx" in loaded
    assert loaded & set(HEAVY.split()) == set()


def test_rows_in_every_form(client: Client):
    job = client.sql("select * from customers where id = :n", source="shop", params={"n": 1})
    result = job.wait(30)
    assert result.arrow().column_names == ["id", "phone", "at"]
    assert result.pandas()["phone"].tolist() == ["***0", "***1", "=cmd"]
    assert isinstance(result.polars(), pl.DataFrame)
    assert result.rows()[0] == {"id": 1, "phone": "***0", "at": dt.datetime(1970, 1, 1)}  # noqa: DTZ001
    assert result.dict()["id"] == [1, 2, None]
    assert result.columns[0] == ("id", "int64")
    assert result.disclosure["columns"] == {"shop.customers.phone": "last4"}
    assert not result.truncated
    assert (result.value, result.charts, result.stdout) == (None, [], "")
    assert job.wait().rows() == result.rows(), "a second wait needs no second fetch"


@pytest.mark.parametrize("form", ["arrow", "parquet", "json", "csv"])
def test_every_format_is_read_back(client: Client, form: str):
    result = client.sql("select 1", source="shop", format=form, on_limit="truncate").wait(30)
    assert [row["phone"] for row in result.rows()] == ["***0", "***1", "=cmd"]


def test_a_program_with_inputs_variables_and_charts(client: Client, tmp_path: Path):
    frame = pd.DataFrame({"n": [1, 2], "c": pd.Categorical(["a", "b"])})
    inputs = {
        "df": "select 1",
        "task": {"kind": "sql", "source": "other", "statement": "select 2"},
        "rows": [{"d": decimal.Decimal("1.50"), "big": 2**60}, {"d": None, "big": 1, "late": dt.date(2024, 2, 29)}],
        "frame": frame,
        "polar": pl.DataFrame({"at": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], "x": [float("inf")]}),
    }
    result = client.python(
        "result = 1",
        inputs=inputs,
        variables={"year": 2024},
        source="shop",
        frames="polars",
        charts=["png", "vega-lite"],
    ).wait(30)
    given = result.value
    assert given["inputs"]["df"] | given["inputs"]["task"] == {**given["inputs"]["task"]}
    assert given["inputs"]["df"]["source"] == "shop"
    assert given["inputs"]["task"]["source"] == "other"
    assert given["inputs"]["rows"]["rows"] == [["1.50", str(2**60), None], [None, 1, "2024-02-29"]]
    assert [one["type"] for one in given["inputs"]["rows"]["columns"]] == ["decimal(3,2)", "int64", "date"]
    assert given["inputs"]["frame"]["rows"] == [[1, "a"], [2, "b"]]
    assert given["inputs"]["polar"]["rows"] == [["2024-01-01T00:00:00+00:00", "Infinity"]]
    assert (given["variables"], given["frames"]) == ({"year": 2024}, "polars")
    assert (result.stdout, result.stderr) == ("hello\n", "careful\n")
    with pytest.raises(ResultError, match="no rows"):
        result.arrow()
    png, vega = result.charts
    assert png.save(tmp_path / "one").suffix == ".png"
    assert (tmp_path / "one.png").read_bytes() == b"\x89PNG\r\n"
    assert vega.spec == {"mark": "bar"}
    assert vega._repr_mimebundle_(include=None) == {"application/vnd.vegalite.v6+json": {"mark": "bar"}}
    assert png._repr_mimebundle_() == {"image/png": b"\x89PNG\r\n"}
    with pytest.raises(ValueError):
        _ = png.spec


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (5, "input.kind"),
        ([], "input.empty"),
        ([{"b": b"raw"}], "input.type"),
        ([{"a": 1}, {"a": "x"}], "input.kind"),
        ("select 1", "input.source"),
    ],
)
def test_inputs_that_are_none(client: Client, value: object, code: str):
    with pytest.raises(ConfigurationError) as raised:
        client.python("result = 1", inputs={"df": value})
    assert raised.value.code == code
    assert raised.value.hint


def test_catalog_and_explain(client: Client):
    assert client.catalog("shop", relations=["main.*"]).wait(30).value["source"] == "shop"
    assert client.explain("select 1", source="shop").wait(30).value["asked"] == "select 1"
    with pytest.raises(ConfigurationError, match="source"):
        client.explain("select 1")


def test_a_refusal_says_what_to_do_and_where(client: Client):
    with pytest.raises(JobRefusedError) as raised:
        client.sql("select refuse()", source="shop").wait(30)
    error = raised.value
    assert (error.code, error.hint) == ("sql.function", "Use sum.")
    (problem,) = error.problems
    assert (problem.name, problem.line, problem.column) == ("evil", 1, 8)
    with pytest.raises(JobFailedError) as failed:
        client.sql("select fail", source="shop").wait(30)
    assert (failed.value.stdout, failed.value.stderr) == ("so far\n", "oh\n")


def test_cancel_stream_and_timeouts(client: Client):
    job = client.sql("select hang", source="shop")
    with pytest.raises(JobTimeoutError) as raised:
        job.wait(0.2)
    assert raised.value.code == "wait.timeout"
    steps = job.stream()
    first = next(steps)
    assert not first.ended
    job.cancel()
    states = [first.state, *(step.state for step in steps)]
    assert states[-1] == "cancelled"
    assert job.status().ended
    with pytest.raises(JobCancelledError):
        job.wait(30)
    job.cancel()  # of a job that has ended nothing changes


def test_a_job_nobody_takes_is_cancelled_without_a_result(client: Client):
    job = client.sql("select 1", source="shop", to="pool:nobody")
    assert job.status().state == "queued"
    job.cancel()
    with pytest.raises(JobCancelledError, match="before an agent had it"):
        job.wait(30)


def test_a_job_from_another_process(world: World, client: Client):
    job = client.sql("select number 7", source="shop")
    with world.client() as other:
        assert other.job(job.id, job.digest).wait(30, keep=True).rows() == [{"n": 7}]
        assert other.job(job.id).wait(30, keep=True).rows() == [{"n": 7}]
        with pytest.raises(ResultError, match="another job"):
            other.job(job.id, "0" * 64).wait(30, keep=True)
        with pytest.raises(ConfigurationError, match="id"):
            other.job("../agents")
    assert job.wait(30).rows() == [{"n": 7}]
    with world.client() as other, pytest.raises(RouterError) as raised:  # it was fetched, and so deleted
        other.job(job.id).wait(30)
    assert raised.value.code == "result.missing"


def test_what_the_routers_operator_does_to_a_result_is_noticed(world: World, client: Client):
    """They have the database: they change it, and hand out one job's result for another's."""
    first, second = (client.sql(f"select number {n}", source="shop") for n in (1, 2))
    for job in (first, second):
        list(job.stream())
    with sqlite3.connect(world.files.store) as database:
        row = "SELECT manifest, inline_parts FROM results WHERE job_id = ?"
        (manifest, parts), (foreign, others) = (database.execute(row, (job.id,)).fetchone() for job in (first, second))
    database.close()
    cases = {
        "a changed byte of the data": (manifest, parts[:-1] + bytes([parts[-1] ^ 1])),
        "a changed byte of the manifest": (manifest[:-1] + (b"A" if manifest[-1:] != b"A" else b"B"), parts),
        "cut short": (manifest, parts[:-1]),
        "nothing": (manifest, b""),
        "more than there was": (manifest, parts + b"\0"),
        "another job's": (foreign, others),
        "another job's data": (manifest, others),
    }
    for name, (said, data) in cases.items():
        _put(world, first.id, said, data)
        for digest in (first.digest, None):
            with pytest.raises(ResultError) as raised:
                client.job(first.id, digest).wait(30, keep=True)
            assert raised.value.code == "result.untrusted", name
    _put(world, first.id, manifest, parts)
    assert first.wait(30).rows() == [{"n": 1}]


def _put(world: World, job: str, manifest: bytes, parts: bytes) -> None:
    with sqlite3.connect(world.files.store, timeout=20) as database:
        database.execute("UPDATE results SET manifest = ?, inline_parts = ? WHERE job_id = ?", (manifest, parts, job))
    database.close()


def test_an_agent_that_is_not_pinned_is_not_believed(world: World, tmp_path: Path):
    with world.client(keys=world.keys(pinned=False)) as client:
        job = client.sql("select 1", source="shop")
        with pytest.raises(ResultError, match="pin"):
            job.wait(30)
        file = tmp_path / "agent.jwk"
        file.write_text(json.dumps(world.result.public().to_jwk()))
        with pytest.raises(ConfigurationError) as raised:
            client.trust(file, fingerprint=fingerprint(SigningKey.generate().kid))
        assert raised.value.code == "key.fingerprint"
        client.trust(file, fingerprint=fingerprint(world.result.kid).upper())
        assert client.keys.fingerprints() == (fingerprint(world.result.kid),)
        assert job.wait(30).rows()[0]["phone"] == "***0"
        for content in ("{}", "[]", "no"):
            file.write_text(content)
            with pytest.raises(ConfigurationError):
                client.trust(file)
        with pytest.raises(ConfigurationError):
            client.trust(tmp_path / "none")


def test_keys_never_show():
    keys = Keys(tenant="acme", user="ann", signing=SigningKey.generate(), opening=_opening())
    assert "SigningKey" not in repr(keys)
    assert "OpeningKey" not in repr(keys)


def _opening():
    from agent.wire.keys import OpeningKey

    return OpeningKey.generate()


def test_large_results_come_in_pieces(world: World, client: Client, tmp_path: Path):
    job = client.sql("select big 40", source="shop")
    list(job.stream())
    tracemalloc.start()
    try:
        path = job.download(tmp_path / "big.mres")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 40 * 2**20
    assert peak < 30 * 2**20
    with path.open("rb") as file:
        assert read_mres(file)[0]
    with pytest.raises(FileExistsError):
        job.download(path)
    with world.client(max_result_bytes=2**20) as small, pytest.raises(ResultError) as raised:
        small.job(job.id).download(tmp_path / "cut.mres")
    assert raised.value.code == "result.size"
    assert not (tmp_path / "cut.mres").exists()
    assert job.wait(60).arrow().num_rows == 40


@pytest.mark.parametrize("polls", [200, 4])
def test_many_jobs_at_once_from_one_client(client: Client, monkeypatch: pytest.MonkeyPatch, polls: int):
    """Also with more waiters than may poll at once: a job that is sent meanwhile comes back."""
    monkeypatch.setattr("router.client.http._POLLS", polls)
    monkeypatch.setattr("router.client.http._POLL_SECONDS", 25.0 if polls > 100 else 2.0)
    hanging = [client.sql("select hang", source="shop", to="pool:nobody") for _ in range(30)]
    waiters = [threading.Thread(target=_swallow, args=(job,)) for job in hanging]
    for one in waiters:
        one.start()
    try:
        assert client.sql("select number 3", source="shop").wait(60).rows() == [{"n": 3}]
    finally:
        for job in hanging:
            job.cancel()
        for one in waiters:
            one.join(60)
    assert not any(one.is_alive() for one in waiters)


def _swallow(job):
    with pytest.raises(JobCancelledError):
        job.wait(100)


WAITS = """
import json, sys
from router.client import Client
with Client.from_profile(sys.argv[1]) as client:
    job = client.sql("select 1", source="shop", to="pool:nobody")
    print(job.id, flush=True)
    try:
        job.wait(100)
    except KeyboardInterrupt:
        job.cancel()
        print(job.status().state, flush=True)
"""


def test_ctrl_c_ends_the_wait_and_not_the_program(world: World, profile: Path):
    """The call that was under way is ended too, and the client goes on."""
    command = [sys.executable, "-c", WAITS, str(profile)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline().strip()
        time.sleep(0.3)  # it waits now, or will; either is to be ended
        waiting.send_signal(signal.SIGINT)
        said, errors = waiting.communicate(timeout=60)
    assert said.split() == ["cancelled"], errors
    assert waiting.returncode == 0


def test_a_client_that_was_closed(world: World):
    with world.client() as client:
        job = client.sql("select 1", source="shop")
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        job.status()


FORGETS = """
import sys
from router.client import Client
client = Client.from_profile(sys.argv[1])
print(client.sql("select number 4", source="shop").wait(60).rows())
"""


def test_a_program_that_forgets_to_close_ends_all_the_same(profile: Path):
    command = [sys.executable, "-c", FORGETS, str(profile)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[{'n': 4}]\n", "")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async(world: World, backend: str):
    if backend == "trio":
        pytest.importorskip("trio", reason="trio is no dependency: tried where it is installed")

    async def jobs() -> dict[int, object]:
        results: dict[int, object] = {}

        async def one(client: AsyncClient, n: int) -> None:
            job = await client.sql(f"select number {n}", source="shop")
            steps = [step async for step in job.stream()]
            assert steps[-1].ended
            results[n] = (await job.wait(60)).rows()[0]["n"]

        async with world.aclient() as client, anyio.create_task_group() as group:
            for n in range(5):
                group.start_soon(one, client, n)
        return results

    assert anyio.run(jobs, backend=backend) == {n: n for n in range(5)}


def test_a_router_that_does_not_wait_is_not_asked_at_full_speed(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("router.client.http._POLL_SECONDS", 0.0)
    asked = 0
    json_ = client._client.calls.json

    async def counted(method: str, path: str, **request: object) -> object:
        nonlocal asked
        asked += 1
        if "params" in request:
            request["params"] = {}
        return await json_(method, path, **request)

    monkeypatch.setattr(client._client.calls, "json", counted)
    job = client.sql("select hang", source="shop", to="pool:nobody")
    with pytest.raises(JobTimeoutError):
        job.wait(1.0)
    job.cancel()
    assert asked < 20


def test_several_addresses(world: World):
    with world.client(url=["https://localhost:1", world.url]) as client:
        assert client.sql("select 1", source="shop").wait(30).rows()
    with world.client(url="https://localhost:1") as client, pytest.raises(RouterUnavailableError) as raised:
        client.sql("select 1", source="shop")
    assert raised.value.code == "router.unreachable"


def test_a_router_with_another_ca_is_not_believed(world: World):
    with world.client(ca_file=None) as client, pytest.raises(RouterUnavailableError) as raised:
        client.sql("select 1", source="shop")
    assert raised.value.code == "router.certificate"


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"url": "http://localhost:1"}, "router.url"),
        ({"url": "https://"}, "router.url"),
        ({"url": "https://ann:secret@localhost"}, "router.url"),
        ({"url": []}, "router.url"),
        ({"token": "ümlaut"}, "router.token"),
        ({"token": "two\nlines"}, "router.token"),
        ({"ca_file": "/nowhere"}, "router.ca"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_a_router(world: World, other: dict[str, object], code: str):
    with pytest.raises(ConfigurationError) as raised:
        world.client(**other)
    assert raised.value.code == code
    assert "secret" not in str(raised.value)


def test_a_wrong_token(world: World):
    with world.client(token="nobody's") as client, pytest.raises(RouterError) as raised:
        client.sql("select 1", source="shop")
    assert raised.value.code == "auth.invalid"


@pytest.mark.parametrize("terms", [{"priority": 10**6}, {"attempts": 0}, {"to": "nobody:else"}, {"roles": [""]}])
def test_terms_out_of_bounds(client: Client, terms: dict[str, object]):
    with pytest.raises(ConfigurationError) as raised:
        client.sql("select 1", source="shop", **terms)
    assert raised.value.code == "job.field"


def test_the_same_envelope_twice_is_one_job(world: World):
    """A repeated call after a lost answer: nothing runs twice."""

    async def twice() -> None:
        from router.client import tasks

        async with world.aclient() as client:
            signed = tasks.signed(tasks.sql("select 1", "shop", None, "arrow"), tasks.Terms(), world.keys())
            headers = {"content-type": "application/jose"}
            for _ in range(2):
                said = await client.calls.json("POST", "/jobs", content=signed.envelope, headers=headers)
            assert said["id"] == signed.id
            assert (await client.job(signed.id, signed.digest).wait(30)).rows()

    asyncio.run(twice())
