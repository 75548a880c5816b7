"""Python jobs as people and platforms ask for them: on the command line, on a stream, and by file drop."""

import json
from hashlib import sha256

import pytest

COUNT = "SELECT country, count(*) AS n FROM customers GROUP BY country ORDER BY country"
CHART = """
import altair as alt
result = df
chart = alt.Chart(df).mark_bar().encode(x="country", y="n")
print("drawn", len(df))
"""
SECRET = "canary_in_the_text"
BAD = {
    "empty": ("", "refused", "python.size"),
    "blank": (" \n\t# nothing\n", "refused", "python.size"),
    "syntax": ("result = (1,\n", "refused", "python.syntax"),
    "import": ("import subprocess\n", "refused", "python.import"),
    "missing": ("result = df\n", "failed", "python.error"),
    "unserialisable": ("result = {1, 2}.__class__ if False else object()\n", "any", ""),
    "function": ("def f():\n    pass\nresult = f\n", "failed", "python.result"),
    "recursion": ("def f(n):\n    return f(n + 1)\nf(0)\n", "failed", "python.error"),
    "huge": ("result = 'x' * (10 * 1024 ** 3)\n", "failed", ""),
    "rows": ("result = list(range(20_000))\n", "failed", "limit.rows"),
    "unicode": ("ｉｍｐｏｒｔ_x = 1\nｅｖａｌ('1')\n", "any", ""),
    "nul": ("result = '\x00'\n", "refused", "python.encoding"),
    "printed": ("print('a' * 10 ** 7)\nresult = 1\n", "completed", ""),
}


def program(code, **fields):
    return {"kind": "python", "code": code, **fields}


def sql(statement, source="shop"):
    return {"kind": "sql", "source": source, "statement": statement}


TASKS = {
    "json": program("print('hi')\nresult = {'a': [1, None, 2.5]}"),
    "steps": program(
        "result = p.merge(q, on='country')",
        inputs={"p": program("result = a[a['n'] > 0]", inputs={"a": sql(COUNT)}), "q": sql(COUNT, "ledger")},
    ),
    "masked": program(
        "result = [df['ssn'].nunique(), df['email'][0], df['phone'][0]]",
        inputs={"df": sql("SELECT * FROM customers")},
    ),
    "raises": program("print('so far')\nresult = 1 / 0"),
    "input": program("result = 1", inputs={"df": sql("SELECT nope FROM customers")}),
    "chart": program("result = 1", charts=["svg"]),
    "malformed": program("result = 1", source="shop"),
    "named": program("result = 1", inputs={"class": sql("SELECT 1")}),
    "explained": {
        "kind": "explain",
        "task": program("import math\nresult = df", inputs={"df": sql("SELECT ssn FROM customers")}),
    },
    "variables": program("result = seen", variables={"seen": {"x": [1, "y"]}}),
    "endings": program("\ufefftry:\r\n\tresult = 5\r\nfinally:\r\n\tpass\r\n"),
    "audited": program(
        f"x = '{SECRET}'\nresult = len(df)", inputs={"df": sql("SELECT id FROM orders WHERE id > 123456")}
    ),
    "rows": sql(COUNT),
    **{f"bad {name}": program(code, limits={"memory_mb": 600}) for name, (code, _, _) in BAD.items()},
    "last": program("result = 7"),
}


@pytest.fixture(scope="module")
def found(site):
    """The outcome of each task, all of one stream."""
    lines = [json.dumps({"ref": name, **task}) for name, task in TASKS.items()]
    done = site.cli("exec", "--jsonl", "-", stdin="\n".join(lines))
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["ref"] for one in outcomes] == list(TASKS)
    return {one["ref"]: one for one in outcomes}


def test_a_program_on_the_command_line(site, found, tmp_path):
    path = tmp_path / "x.py"
    path.write_text(CHART)
    shown = site.cli("exec", str(path), "--input", f"df={COUNT}", "--source", "shop")
    assert shown.returncode == 0, shown.stderr
    assert all(str(country) in shown.stdout for country, _ in found["rows"]["rows"])
    assert f"drawn {len(found['rows']['rows'])}" in shown.stdout
    assert "chart-1.vl.json" in shown.stdout
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.py"], "nothing is written unasked"


def test_programs_on_a_stream(found):
    assert found["json"] | {"disclosure": None} == {
        "ref": "json",
        "outcome": "completed",
        "result": {"kind": "json", "value": {"a": [1, None, 2.5]}},
        "outputs": [],
        "stdout": "hi\n",
        "stderr": "",
        "truncated": False,
        "disclosure": None,
    }
    assert found["steps"]["result"]["kind"] == "frame"
    assert found["steps"]["disclosure"]["notes"][0].startswith("Input p.a: ")
    assert found["steps"]["disclosure"]["relations"] == ["shop.main.customers", "ledger.main.customers"]
    assert found["masked"]["result"]["value"] == [1, "***", "***"]
    raised = found["raises"]
    assert (raised["outcome"], raised["code"], raised["stdout"]) == ("failed", "python.error", "so far\n")
    assert raised["error"] == {"type": "ZeroDivisionError", "message": "division by zero", "line": 2}
    refused = {name: found[name]["code"] for name in ("input", "chart", "malformed", "named")}
    assert refused == {
        "input": "sql.column",
        "chart": "policy.chart",
        "malformed": "task.malformed",
        "named": "python.input",
    }
    assert "Input df" in found["input"]["message"]
    assert found["explained"]["result"]["value"]["imports"] == ["math"]
    assert found["variables"]["result"]["value"] == {"x": [1, "y"]}
    assert found["endings"]["result"] == {"kind": "json", "value": 5}


def test_bad_programs_have_clear_outcomes_and_the_next_one_runs(found):
    for name, (_, outcome, code) in BAD.items():
        one = found[f"bad {name}"]
        assert outcome in {one["outcome"], "any"}, (name, one)
        assert code in {one.get("code"), ""}, (name, one)
        assert one["outcome"] == "completed" or one["message"], one
        assert one.get("code") not in {"internal.error", "worker.crashed"}, one
    printed = found["bad printed"]
    assert printed["stdout_truncated"]
    assert len(printed["stdout"]) <= 256 * 1024 + 100
    assert found["last"]["result"]["value"] == 7


def test_a_program_by_file_drop_and_its_charts_as_files(site, tmp_path):
    path = tmp_path / "x.py"
    path.write_text(CHART)
    with site.running():
        made = site.json("submit", str(path), "--input", f"df={COUNT}", "--source", "shop", "--wait")
        failed = site.cli("submit", "-", "--kind", "python", "--wait", stdin="print('so far')\nraise KeyError('x')")
    assert (made["outcome"], made["result"]["kind"]) == ("completed", "frame")
    assert made["disclosure"]["relations"] == ["main.customers"]
    (chart,) = made["outputs"]
    assert (chart["media_type"][:24], chart["data"]["mark"]["type"]) == ("application/vnd.vegalite", "bar")
    assert (failed.returncode, "so far" in failed.stdout, "KeyError" in failed.stderr) == (1, True, True)
    newest = sorted((site.drop / "outbox" / "new").glob("*.mres"), key=lambda one: one.stat().st_mtime_ns)[-2]
    charts = tmp_path / "charts"
    shown = site.cli("open", str(newest), "--charts", str(charts))
    assert (shown.returncode, "country" in shown.stdout, "chart-1.vl.json" in shown.stdout) == (0, True, True)
    assert [one.name for one in charts.iterdir()] == ["chart-1.vl.json"]
    again = site.cli("open", str(newest), "--charts", str(charts))
    assert (again.returncode, "is there already" in again.stderr) == (78, True)
    everything = tmp_path / "all"
    assert site.cli("open", str(newest), "--output", str(everything)).returncode == 0
    assert sorted(one.name for one in everything.iterdir()) == ["chart-1.vl.json", "rows.csv", "stdout.txt"]


def test_the_audit_names_statements_and_the_program_by_its_digest(site, found):
    assert found["audited"]["outcome"] == "completed"
    records = [
        json.loads(line)
        for path in (site.folder / "state").rglob("audit-*.jsonl")
        for line in path.read_text().splitlines()
    ]
    digest = sha256(TASKS["audited"]["code"].encode()).hexdigest()
    (ended,) = [one for one in records if one["event"] == "job.ended" and one.get("program_sha256") == digest]
    (given,) = ended["inputs"]
    assert (given["input"], given["source"], given["statement"]) == ("df", "shop", "SELECT id FROM orders WHERE id > ?")
    assert given["statement_sha256"] == sha256(b"SELECT id FROM orders WHERE id > 123456").hexdigest()
    assert SECRET not in json.dumps(records)
    assert "123456" not in json.dumps(records)
