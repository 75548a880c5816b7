"""What the service checks before it signs, and what it writes down: nothing that a worker says is believed."""

import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from agent.core.defect import describe
from agent.core.job import Digest
from agent.core.outcome import Facts, Parcel, Part, Refused, Report
from agent.core.ports import Ended
from agent.service import record
from agent.service.board import Board
from agent.service.checks import Expected, UntrueError, check
from agent.service.livetrust import LiveTrust
from agent.service.running import Running
from agent.wire.keys import OpeningKey
from agent.wire.sealing import SealContext, max_sealed_bytes, seal

pytestmark = pytest.mark.anyio

RESULT, JOB = "01K0ZZZZZZZZZZZZZZZZZZZZZZ", "01K0AAAAAAAAAAAAAAAAAAAAAA"


def sealed() -> tuple[Parcel, io.BytesIO, Expected]:
    """An honest parcel, its file, and what was ordered."""
    recipient = OpeningKey.generate().public()
    context = SealContext(
        job_id=JOB,
        job_digest="a" * 64,
        result_id=RESULT,
        attempt=1,
        policy_version=1,
        policy_sha256="b" * 64,
        isolation="stand-in",
        recipient=recipient,
    )
    sink = io.BytesIO()
    parcel = seal(Refused("task.source", "m", "h"), context=context, sink=sink)
    expected = Expected(
        job_id=JOB,
        job_digest="a" * 64,
        result_id=RESULT,
        attempt=1,
        recipient=recipient.kid,
        policy_version=1,
        policy_sha256="b" * 64,
        isolation="stand-in",
        max_bytes=max_sealed_bytes(0),
    )
    return parcel, sink, expected


def test_an_honest_parcel_passes() -> None:
    check(*sealed())


LIES: list[tuple[str, dict[str, Any]]] = [
    ("job_id", {"job_id": RESULT}),
    ("job_digest", {"job_digest": "c" * 64}),
    ("result_id", {"result_id": JOB}),
    ("attempt", {"attempt": 2}),
    ("attempt", {"attempt": True}),
    ("recipient", {"recipient": "A" * 43}),
    ("policy_version", {"policy_version": 2}),
    ("policy_sha256", {"policy_sha256": "c" * 64}),
    ("isolation", {"isolation": "landlock9"}),
    ("code", {"code": "ok"}),
    ("code", {"outcome": "completed"}),
    ("code", {"code": "no.such"}),
    ("manifest", {"code": "envelope.expired", "outcome": "rejected"}),
    ("manifest", {"media_types": ()}),
    ("manifest", {"media_types": ("application/json\nx",)}),
    ("manifest", {"sealed_key": b"short"}),
    ("manifest", {"disclosure_sha256": "not a digest"}),
    ("manifest", {"parts": ()}),
    ("parts", {"parts": (Part(Digest("d" * 64), 1040),)}),
]


@pytest.mark.parametrize(("what", "lie"), LIES, ids=lambda given: str(given)[:60])
def test_every_lie_is_found(what: str, lie: dict[str, Any]) -> None:
    parcel, file, expected = sealed()
    with pytest.raises(UntrueError) as caught:
        check(dataclasses.replace(parcel, **lie), file, expected)
    assert caught.value.what == what


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:4] + bytes([data[4] ^ 1]) + data[5:],
        lambda data: b"",
        lambda data: data + data,
    ],
    ids=["cut", "longer", "changed", "empty", "twice"],
)
def test_a_file_that_differs_from_its_digests_is_found(spoil: Any) -> None:
    parcel, file, expected = sealed()
    with pytest.raises(UntrueError, match="parts"):
        check(parcel, io.BytesIO(spoil(file.getvalue())), expected)


def test_a_result_beyond_the_cap_is_found() -> None:
    parcel, file, expected = sealed()
    with pytest.raises(UntrueError, match="size"):
        check(parcel, file, dataclasses.replace(expected, max_bytes=parcel.parts[0].size - 1))


async def test_a_lying_worker_s_result_is_never_signed(bench: Any, refuse: Any) -> None:
    async def lie(order: Any, parts: int) -> Ended:
        ended = await refuse(order, parts)
        parcel = dataclasses.replace(ended.report.parcel, isolation="landlock9+seccomp")
        return Ended("ok", Report(parcel, ended.report.facts))

    bench.worker.behaviour = lie
    async with bench.running():
        opened = await bench.done(bench.submit())
    assert opened.outcome.code == "internal.error"


async def test_a_worker_that_writes_on_after_its_end_changes_nothing(bench: Any, refuse: Any) -> None:
    kept: list[int] = []

    async def linger(order: Any, parts: int) -> Ended:
        kept.append(os.dup(parts))
        await refuse(order, parts)
        return Ended("worker.crashed", None)

    bench.worker.behaviour = linger
    async with bench.running():
        job_id = bench.submit()
        await bench.done(job_id)
        os.write(kept[0], b"late")
        os.close(kept[0])
        assert bench.opened(job_id).outcome.code == "worker.crashed"


async def test_facts_that_do_not_fit_a_record_hold_up_no_job(bench: Any, refuse: Any) -> None:
    async def boast(order: Any, parts: int) -> Ended:
        ended = await refuse(order, parts)
        facts = Facts(
            statement="\U0001f4a5" * 900_000,
            relations=tuple(f"main.t{n}" for n in range(200_000)),
            columns=("x" * 5_000_000,),
            rows=10**4000,
            bytes=-1,
            engine_seconds=float("nan"),
        )
        return Ended("ok", Report(ended.report.parcel, facts))

    bench.worker.behaviour = boast
    async with bench.running():
        job_id = bench.submit()
        await bench.done(job_id)
    ended = next(found for found in bench.records() if found["event"] == "job.ended")
    assert ended["statement"].endswith("...")
    assert ended["relations"][-1].endswith("...")
    assert (ended["rows"], ended["bytes"], ended["engine_seconds"]) == (2**53, 0, 0.0)


def test_the_result_digest_names_the_sealed_bytes() -> None:
    first, second = sealed()[0], sealed()[0]
    assert record.result_digest(first) == record.result_digest(first)
    assert record.result_digest(first) != record.result_digest(second)


def test_the_cap_leaves_room_for_short_results_and_grows_with_the_limit() -> None:
    assert max_sealed_bytes(0) >= 4 << 20
    assert max_sealed_bytes(1 << 30) == (4 << 30) + max_sealed_bytes(0)


def test_a_defect_is_logged_by_class_and_place_alone() -> None:
    with pytest.raises(ValueError, match="4711") as caught:
        int("the value 4711")
    said = describe(caught.value)
    assert said.startswith("ValueError at unit/service/test_perform.py:")
    assert "4711" not in said


def test_trust_is_read_again_when_it_changes_and_never_remembered_when_it_breaks(bench: Any) -> None:
    from agent.core.errors import ConfigError

    live = LiveTrust(bench.trust_file)
    first = live.current()
    assert live.current() is first
    bench.trust_by(lambda store: bench.with_submitter(store, type(bench.submitter).generate()))
    assert len(live.current().submitters) == 2
    good = bench.trust_file.read_bytes()
    bench.trust_file.write_bytes(b"{")
    for _ in range(2):
        with pytest.raises(ConfigError):
            live.current()
    bench.trust_file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        live.current()
    bench.trust_file.write_bytes(good)
    assert len(live.current().submitters) == 2


async def test_slots_are_given_back_and_killing_reaches_workers_that_start_later() -> None:
    running = Running({"sql": 2, "python": 1})
    running.take("sql")
    running.take("sql")
    assert (running.free("sql"), running.free("python")) == (0, 1)
    with running.slot("sql"):
        pass
    assert (running.free("sql"), running.free("python"), running.total) == (1, 1, 1)
    assert (running.free("sql", limit=1), running.free("python", limit=1)) == (0, 0)
    running.kill()
    with running.killable() as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught


def test_the_same_job_is_held_once() -> None:
    running = Running({"sql": 2, "python": 1})
    with running.only("A") as first, running.only("A") as second, running.only("B") as other:
        assert (first, second, other) == (True, False, True)
    with running.only("A") as again:
        assert again


def test_a_board_that_is_empty_is_starting() -> None:
    assert Board().word() == "starting"


def test_status_document_is_documented_field_by_field(bench: Any) -> None:
    text = (Path(__file__).parents[3] / "docs/operate/status.md").read_text()

    def names(value: Any, prefix: str = "") -> list[str]:
        if not isinstance(value, dict) or prefix == "loops.":
            return []
        return [name for key, inner in value.items() for name in (prefix + key, *names(inner, f"{prefix}{key}."))]

    async def look() -> Any:
        return json.loads(bench.supervisor()._answer())

    document = anyio.run(look)
    missing = [name for name in names(document) if f"`{name}`" not in text]
    assert missing == []
    for field in document["sources"][0]:
        assert f"`sources[].{field}`" in text
