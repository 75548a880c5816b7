"""What the audit says of a Python job: digests, names, statements without literals, and bounded whatever a worker says."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

from agent.audit.records import EMPTY, MAX_LINE_BYTES, render
from agent.core.job import ExplainTask, InlineTable, PythonTask, SourceName, SqlTask
from agent.core.outcome import Facts, InputFacts
from agent.service import record
from tests.support import benches

SQL = SqlTask(source=SourceName("shop"), statement="SELECT 1", parameters={})
OTHER = SqlTask(source=SourceName("ledger"), statement="SELECT 2", parameters={})
PROGRAM = PythonTask(code="x = 'canary'", inputs={"a": SQL, "b": OTHER, "t": InlineTable(columns=(), rows=())})


class Parcel:
    """Any parcel."""

    parts = ()

    def __getattr__(self, name: str) -> Any:
        return name


def ended(facts: Facts) -> dict[str, Any]:
    parcel: Any = Parcel()
    return record.ended(parcel, facts, 1.0)


def given(number: int, **more: str) -> InputFacts:
    plain = {"name": f"i{number}", "source": "shop", "statement": f"SELECT ? {number}", "statement_sha256": "a" * 64}
    return InputFacts(**{**plain, **more}, rows=number, bytes=8)


def test_who_asks_names_every_source() -> None:
    assert record.asked(benches.bench(SQL, None).job)["source"] == "shop"
    asked = record.asked(benches.bench(PROGRAM, None).job)
    assert (asked["kind"], asked["sources"]) == ("python", ["shop", "ledger"])
    assert "source" not in asked
    assert "canary" not in json.dumps(asked)


def test_a_program_is_named_by_its_digest_and_its_statements_stand_there() -> None:
    found = ended(Facts(program_sha256="b" * 64, inputs=(given(1), given(2))))
    assert (found["statement"], found["program_sha256"]) == ("", "b" * 64)
    assert found["inputs"][1] == {
        "input": "i2",
        "source": "shop",
        "statement": "SELECT ? 2",
        "statement_sha256": "a" * 64,
        "rows": 2,
        "bytes": 8,
    }
    plain = ended(Facts(statement="SELECT ?"))
    assert (plain["statement"], "inputs" in plain, "program_sha256" in plain) == ("SELECT ?", False, False)


def test_whatever_a_worker_says_fits_into_a_record() -> None:
    long = "\U0001f600" * 100_000
    inputs = tuple(given(n, name=long, source=long, statement=long, statement_sha256=long) for n in range(100))
    facts = Facts(
        statement=long, relations=(long,), columns=(long,), pii={long: 1}, inputs=inputs, statement_sha256=long
    )
    for program in ("", "b" * 64):
        found = ended(replace(facts, program_sha256=program))
        line, _ = render(EMPTY, 0.0, "job.ended", found)
        assert len(line) <= MAX_LINE_BYTES
    assert len(found["inputs"]) == 64


def test_a_job_that_no_worker_spoke_about() -> None:
    assert record.unrun(benches.bench(PROGRAM, None).job).program_sha256 == sha256(b"x = 'canary'").hexdigest()
    assert record.unrun(benches.bench(SQL, None).job).statement_sha256 == sha256(b"SELECT 1").hexdigest()
    explained = record.unrun(benches.bench(ExplainTask(task=SQL), None).job)
    assert explained.statement_sha256 == sha256(b"SELECT 1").hexdigest()
    assert record.unrun(benches.bench(benches.catalog(), None).job) == Facts()
