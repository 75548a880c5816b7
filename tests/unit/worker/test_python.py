"""A Python job in a worker, over real sources and a real sandbox: what it is given, what it gives back, how it ends."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.core.errors import Fault, Refuse
from agent.core.job import ExplainTask, InlineTable, PythonTask, SourceName, SqlTask
from agent.core.limits import Limits
from agent.core.order import PythonTerms
from agent.core.table import Masked
from agent.masking.policy import Policy
from agent.sources.duckdb import Config as DuckDB
from agent.sources.sqlite import Config as SQLite
from agent.worker.kinds import KINDS
from agent.worker.kinds.base import Notes
from tests.support import benches, sandboxes

ROWS = [(1, "Ada", "ada@example.org", 900_000), (2, "Bob", "bob@example.org", 100_000), (3, "Cy", "cy@example.org", 5)]
POLICY = {
    "version": 1,
    "default": "keep",
    "rules": [
        {"match": "*.*.people.mail", "rule": "redact"},
        {"match": "*.*.people.salary", "rule": {"bucket": 100_000}},
    ],
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[int]:
    with sandboxes.started(preload=("pandas", "numpy", "pyarrow")) as running:
        yield running.requests


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sources")
    return {"shop": duck(folder / "shop.duckdb", ROWS), "ledger": lite(folder / "ledger.sqlite")}


def duck(path: Path, rows: list[Any]) -> DuckDB:
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE people (id INTEGER, name VARCHAR, mail VARCHAR, salary INTEGER)")
        con.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", rows)
    return DuckDB(type="duckdb", path=path)


def lite(path: Path) -> SQLite:
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE orders (person INTEGER, amount INTEGER)")
        con.executemany("INSERT INTO orders VALUES (?, ?)", [(1, 5), (1, 7), (2, 11)])
    con.close()
    return SQLite(type="sqlite", path=path)


def sql(statement: str, source: str = "shop") -> SqlTask:
    return SqlTask(source=SourceName(source), statement=statement, parameters={})


def program(code: str, _task: Any = None, **inputs: Any) -> PythonTask:
    return PythonTask(code=code, inputs=inputs, **(_task or {}))


class Line:
    """Runs tasks over the sources. What a run noted is kept."""

    def __init__(self, sources: Any, sandbox: int | None) -> None:
        self.sources, self.sandbox, self.notes = sources, sandbox, Notes()

    def run(self, task: Any, policy: Any = POLICY, **more: Any) -> Any:
        self.notes = Notes()
        limits = more.pop("limits", Limits(wall_seconds=60))
        given = {"python": PythonTerms(), "sandbox": self.sandbox, "limits": limits, **more}
        given = {"deadline": time.monotonic() + limits.wall_seconds, **given}
        bench = benches.bench(task, self.sources, Policy.model_validate(policy), **given)
        with ExitStack() as stack:
            return KINDS[task.kind](bench, self.notes, stack)

    def rows(self, task: Any, **more: Any) -> list[Any]:
        found = self.run(task, **more)
        assert isinstance(found.result, Masked), found
        return [tuple(row.values()) for batch in found.result.batches for row in batch.to_pylist()]

    def value(self, task: Any, **more: Any) -> Any:
        return json.loads(self.run(task, **more).result)

    def ended(self, task: Any, **more: Any) -> Refuse | Fault:
        with pytest.raises((Refuse, Fault)) as caught:
            self.run(task, **more)
        return caught.value


@pytest.fixture
def line(sources: dict[str, Any], sandbox: int) -> Line:
    return Line(sources, sandbox)


PEOPLE = sql("SELECT * FROM people ORDER BY id")


def test_inputs_are_masked_before_the_program_sees_them(line: Line) -> None:
    seen = line.rows(program("result = df[['name', 'mail', 'salary']]", df=PEOPLE))
    assert seen == [("Ada", "***", 900_000), ("Bob", "***", 100_000), ("Cy", "***", 0)]
    disclosed = line.notes.disclosure
    assert disclosed is not None
    assert (disclosed.source, disclosed.relations) == ("shop", ("main.people",))
    assert disclosed.columns["main.people.mail"] == "redact"
    assert disclosed.notes == ("Input df: 3 rows of main.people.",)


def test_two_sources_an_inline_table_and_a_program_before(line: Line) -> None:
    rates = InlineTable(columns=(("person", "integer"), ("rate", "number")), rows=((1, 2.0), (2, 0.5)))
    sums = program(
        "result = o.groupby('person', as_index=False)['amount'].sum()", o=sql("SELECT * FROM orders", "ledger")
    )
    task = program(
        "df = people.merge(sums, left_on='id', right_on='person').merge(rates, on='person')\n"
        "df['x'] = df['amount'] * df['rate'] + plus\nresult = df[['name', 'x']]",
        {"variables": {"plus": 1}},
        people=PEOPLE,
        sums=sums,
        rates=rates,
    )
    assert line.rows(task) == [("Ada", 25.0), ("Bob", 6.5)]
    disclosed = line.notes.disclosure
    assert disclosed is not None
    assert (disclosed.source, disclosed.relations) == ("shop, ledger", ("shop.main.people", "ledger.main.orders"))
    assert disclosed.notes[1] == "Input sums.o: 3 rows of ledger.main.orders."
    facts = line.notes.facts()
    assert [(one.name, one.source, one.rows) for one in facts.inputs] == [
        ("people", "shop", 3),
        ("sums.o", "ledger", 3),
    ]
    assert len(facts.program_sha256) == len(facts.inputs[0].statement_sha256) == 64
    assert "plus" not in repr(facts), "a program's text is named by its digest only"


def test_frames_as_asked(line: Line) -> None:
    task = program("result = type(df).__module__ if False else str(type(df))", {"frames": "arrow"}, df=PEOPLE)
    assert "pyarrow" in line.value(program("result = str(type(df))", {"frames": "arrow"}, df=PEOPLE)), task
    assert "pandas" in line.value(program("result = str(type(df))", df=PEOPLE))


def test_what_can_be_refused_is_refused_before_a_source_is_opened(sources: dict[str, Any]) -> None:
    watched = {name: benches.Server(one) for name, one in sources.items()}
    line = Line(watched, None)
    bad = [
        (program("import socket", df=PEOPLE), "python.import"),
        (program("result = 1", p=program("import socket"), df=PEOPLE), "python.import"),
        (program("", df=PEOPLE), "python.size"),
        (program("result = (", df=PEOPLE), "python.syntax"),
        (program("result = 1", {"charts": ("svg",)}, df=PEOPLE), "policy.chart"),
        (program("result = 1", df=PEOPLE, other=sql("SELECT 1", "nowhere")), "task.source"),
        (program("result = 1", df=PEOPLE), "sandbox.isolation"),
    ]
    for task, code in bad:
        ended = line.ended(task)
        assert ended.code == code, (task, ended.message)
    assert "Input p: " in line.ended(bad[1][0]).message
    assert line.ended(program("result = 1", df=PEOPLE), python=None).code == "task.kind"
    assert [one.opened for one in watched.values()] == [0, 0]


def test_a_refused_statement_names_its_input_and_no_program_runs(line: Line) -> None:
    refusal = line.ended(program("result = df", df=sql("DROP TABLE people")))
    assert refusal.code == "sql.root"
    assert refusal.message.startswith("Input df: ")
    assert refusal.problems
    refusal = line.ended(program("result = p", p=program("result = a", a=sql("SELECT nope FROM people"))))
    assert (refusal.code, refusal.message.startswith("Input p.a: ")) == ("sql.column", True)


def test_caps_of_inputs_are_their_own(line: Line) -> None:
    many = sql("SELECT range AS n FROM range(50)")
    policy = {**POLICY, "release": {"max_rows": 5}, "python_inputs": {"max_rows": 50}}
    assert line.value(program("result = len(df)", df=many), policy=policy) == 50
    policy["python_inputs"] = {"max_rows": 49}
    assert line.ended(program("result = len(df)", df=many), policy=policy).code == "limit.rows"
    assert line.value(program("result = len(df)", df=many), policy=policy, on_limit="truncate") == 49
    feeding = program("import pandas as pd\nresult = pd.DataFrame({'a': range(50)})")
    fed = line.ended(program("result = len(df)", df=feeding), policy=policy)
    assert (fed.code, fed.message.startswith("Input df: ")) == ("limit.rows", True)
    policy["python_inputs"] = {"max_bytes": 1024}
    large = sql("SELECT repeat('x', 300) AS a FROM range(3)")
    assert line.value(program("result = len(df)", df=large), policy=policy) == 3
    assert line.ended(program("result = 1", a=large, b=large), policy=policy).code == "limit.bytes", "all together"


def test_groups_hold_for_inputs(line: Line) -> None:
    policy = {**POLICY, "subjects": {"*.*.people": "id"}, "min_group_size": 2}
    assert line.ended(program("result = df", df=PEOPLE), policy=policy).code == "policy.aggregate"
    counted = sql("SELECT count(*) AS n FROM people")
    assert line.rows(program("result = df", df=counted), policy=policy) == [(3,)]


def test_the_net_looks_at_inputs_and_at_what_comes_out(line: Line) -> None:
    open_policy = {"version": 1, "default": "keep", "release": {"pii_net": "mask"}}
    seen = line.run(
        program(
            "print(df['mail'][0])\nresult = {'got': list(df['mail']), 'made': 'ada' + chr(64) + 'example.org'}",
            df=PEOPLE,
        ),
        policy=open_policy,
    )
    assert json.loads(seen.result) == {"got": ["[email]"] * 3, "made": "[email]"}
    assert seen.printed.stdout == "[email]\n"
    assert line.notes.pii["df.mail: email"] == 3
    refusing = {"version": 1, "default": "keep", "release": {"pii_net": "refuse"}}
    assert line.ended(program("result = 1", df=PEOPLE), policy=refusing).code == "policy.pii"
    made = program("raise ValueError('ada' + chr(64) + 'example.org')")
    assert "example.org" not in line.ended(made, policy=open_policy).message


def test_what_the_net_found_is_counted_without_names_that_a_program_made(line: Line) -> None:
    dropping = {"version": 1, "default": "keep", "release": {"pii_net": "drop_row"}}
    seen = line.run(program("result = len(df)", df=PEOPLE), policy=dropping)
    assert json.loads(seen.result) == 0
    assert (dict(seen.disclosure.pii), seen.disclosure.suppressed) == ({"df.mail: email": 3}, 3)
    facts = line.notes.facts()
    assert (dict(facts.pii), facts.suppressed) == ({"df.mail: email": 3}, 3)
    masking = {"version": 1, "default": "keep", "release": {"pii_net": "mask"}}
    made = "import pandas as pd\nresult = pd.DataFrame({'Lovelace': ['ada' + chr(64) + 'example.org']})"
    frame = line.run(program(made), policy=masking).result
    assert [row for batch in frame.batches for row in batch.to_pylist()] == [{"Lovelace": "[email]"}]
    assert dict(line.notes.facts().pii) == {"result: email": 1}


@pytest.mark.parametrize(
    ("code", "ended"),
    [
        ("print('until here')\nresult = 1 / 0", "python.error"),
        ("print('until here')\nresult = missing", "python.error"),
        ("print('until here')\nresult = print", "python.result"),
        ("print('until here')\ndef f(n):\n    return f(n + 1)\nf(0)", "python.error"),
        ("print('until here', flush=True)\nwhile True:\n    pass", "limit.wall"),
        ("print('until here', flush=True)\nx = [bytearray(10**8) for _ in range(100)]", "limit.memory"),
    ],
)
def test_every_end_is_a_stated_one_with_what_was_printed(line: Line, code: str, ended: str) -> None:
    seconds = 2.0 if ended == "limit.wall" else 60
    fault = line.ended(program(code), limits=Limits(wall_seconds=seconds, memory_mb=400))
    assert fault.code in ({ended, "python.error"} if ended == "limit.memory" else {ended}), fault.message
    assert line.notes.printed is not None
    assert line.notes.printed.stdout == "until here\n"
    if fault.code == "python.error":
        assert fault.problems[0].line is not None


def test_an_input_that_is_no_frame(line: Line) -> None:
    fault = line.ended(program("result = df", df=program("result = 5")))
    assert (fault.code, "Input df" in fault.message) == ("python.result", True)


def test_no_time_left_is_a_wall_limit(line: Line) -> None:
    assert line.ended(program("result = 1"), deadline=time.monotonic()).code == "limit.wall"


def test_a_sandbox_that_is_gone_is_told(sources: dict[str, Any]) -> None:
    from agent.sandbox import channel

    mine, its = channel.pair()
    its.close()
    with mine:
        assert Line(sources, mine.fileno()).ended(program("result = 1")).code == "sandbox.crashed"


def test_explained_and_not_run(sources: dict[str, Any]) -> None:
    line = Line(sources, None)
    task = program("import pandas as pd\nresult = df", df=PEOPLE, o=sql("SELECT * FROM orders", "ledger"))
    value = json.loads(line.run(ExplainTask(task=task)).data)
    assert (value["kind"], value["admitted"], value["imports"]) == ("python", True, ["pandas"])
    assert [one["input"] for one in value["inputs"]] == ["df", "o"]
    assert {one["column"]: one["rule"] for one in value["inputs"][0]["columns"]}["main.people.mail"] == "redact"
    assert line.notes.disclosure is not None
    assert line.notes.disclosure.notes[0] == "The program was described, not run."
    refused = json.loads(line.run(ExplainTask(task=program("import socket", df=PEOPLE))).data)
    assert (refused["admitted"], refused["refusal"]["code"]) == (False, "python.import")
    refused = json.loads(line.run(ExplainTask(task=program("result = df", df=sql("DROP TABLE people")))).data)
    assert (refused["admitted"], refused["refusal"]) == (False, None)
    assert refused["inputs"][0]["refusal"]["code"] == "sql.root"


SPIES = (
    "result = df",
    "result = df.to_json()",
    "result = sorted(df['mail'] + df['salary'].astype(str))",
    "print(df.describe(include='all').to_string())\nresult = df.memory_usage(deep=True).to_dict()",
    "result = {str(k): str(v) for k, v in vars(df).items() if not k.startswith('_')} if False else df.to_csv()",
    "import hashlib\nresult = hashlib.sha256(df.to_csv().encode()).hexdigest()",
    "raise ValueError(df.to_csv())",
    "result = [len(v) for v in df['mail']] + [int(s) for s in df['salary']]",
    "result = df.sort_values('salary')['id'].tolist()",
)
"""Programs that give out all that they have, each in another way."""


def outcome(line: Line, code: str, policy: Any = POLICY) -> Any:
    """All that leaves of a job, in the clear."""
    task = program(code, df=PEOPLE, top=sql("SELECT id FROM people ORDER BY salary DESC, id LIMIT 1"))
    try:
        found = line.run(task, policy=policy)
    except (Refuse, Fault) as ended:
        return ended.code, ended.message, repr(ended.problems), line.notes.printed
    result = found.result
    told = [batch.to_pylist() for batch in result.batches] if isinstance(result, Masked) else result
    return told, found.printed, found.outputs, found.disclosure


def test_no_program_tells_two_worlds_apart_that_differ_in_protected_values(tmp_path: Path, sandbox: int) -> None:
    """The same rows with other values behind the masks: whatever a program does with them, byte for byte the same."""
    first = [*ROWS, (4, "Di", "di@example.org", 7)]
    other = [(1, "Ada", "zoe@example.net", 987_654), (2, "Bob", "yu@example.net", 123_456), (3, "Cy", "x", 99_999)]
    other.append((4, "Di", "", 3))  # of those in one band the order differs too
    worlds = [
        Line({"shop": duck(tmp_path / f"{name}.duckdb", rows)}, sandbox) for name, rows in (("a", first), ("b", other))
    ]
    for code in SPIES:
        one, two = (outcome(world, code) for world in worlds)
        assert one == two, code
    bare = {"version": 1, "default": "keep"}
    told = [[outcome(world, code, bare) for code in SPIES] for world in worlds]
    alike = [code for code, one, two in zip(SPIES, *told, strict=True) if one == two and not code.startswith("raise")]
    assert alike == [], "without masks each of them tells"
