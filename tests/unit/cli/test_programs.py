"""What a person types for a program becomes a task object that the wire takes, or a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli import tasks
from agent.cli.programs import Options, table_of_csv, variable
from agent.core.errors import ConfigError
from agent.wire.models import TaskLine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x.py").write_text("\ufeffresult = df\r\n")
    (tmp_path / "q.sql").write_text("SELECT 1\n")
    (tmp_path / "rates.csv").write_text("k,v,b,d,empty\nx,1,true,2024-01-01,\ny,2.5,false,,\n")
    (tmp_path / "people.json").write_text('[{"n": 1}, {"n": null, "m": true}]')
    (tmp_path / "table.json").write_text('{"columns": [{"name": "a", "type": "date"}], "rows": [["2024-01-01"]]}')
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    (tmp_path / "bad.csv").write_text("a,b\n1\n")
    (tmp_path / "bad.json").write_text("5")
    (tmp_path / "latin.csv").write_bytes(b"a\n\xe9\n")
    return tmp_path


def wanted(folder: Path, kind: str = "sql", source: str | None = "shop", task: str = "x.py", **options: Any) -> Any:
    inputs = [one.replace("@.", f"@{folder}") for one in options.pop("inputs", ())]
    terms = Options(inputs=inputs, **options)
    return tasks.wanted(kind, str(folder / task), source, parameters=(), relations=(), options=terms)


def test_a_program_with_everything_is_a_task(folder: Path) -> None:
    inputs = ["a=SELECT id FROM t", "b@ledger=@./q.sql", "r=@./rates.csv", "p=@./people.json", "t=@./table.json"]
    task = wanted(folder, inputs=inputs, variables=["limit=3", "who=ada", "f=[1]"], frames="arrow", charts=["png"])
    assert TaskLine.parse(json.dumps(task)).task.kind == "python"
    assert task["code"] == "\ufeffresult = df\r\n", "the text is the program's, to the byte"
    assert task["inputs"]["a"] == {"kind": "sql", "source": "shop", "statement": "SELECT id FROM t"}
    assert task["inputs"]["b"] == {"kind": "sql", "source": "ledger", "statement": "SELECT 1"}
    types = {one["name"]: one["type"] for one in task["inputs"]["r"]["columns"]}
    assert types == {"k": "text", "v": "number", "b": "boolean", "d": "text", "empty": "text"}
    assert task["inputs"]["r"]["rows"] == [["x", 1.0, True, "2024-01-01", None], ["y", 2.5, False, None, None]]
    assert task["inputs"]["p"]["rows"] == [[1, None], [None, True]]
    assert (task["variables"], task["frames"], task["charts"]) == (
        {"limit": 3, "who": "ada", "f": [1]},
        "arrow",
        ["png"],
    )


def test_without_inputs_and_explained(folder: Path) -> None:
    assert wanted(folder, source=None) == {"kind": "python", "code": "\ufeffresult = df\r\n"}
    assert wanted(folder, "explain")["task"]["kind"] == "python"
    (folder / "task.json").write_text('{"kind": "python", "code": "result = a", "inputs": {}}')
    task = wanted(folder, task="task.json", inputs=["a=SELECT 1"])
    assert (task["kind"], task["inputs"]["a"]["source"]) == ("python", "shop")
    assert "source" not in task
    assert wanted(folder, "python", task="q.sql")["code"] == "SELECT 1\n", "asked for as a program"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "no.py"}, "cannot be read"),
        ({"inputs": ["df=SELECT 1"], "source": None}, "--source"),
        ({"inputs": ["df"]}, "name=SQL"),
        ({"inputs": ["df="]}, "name=SQL"),
        ({"inputs": ["a b=SELECT 1"]}, "name=SQL"),
        ({"inputs": ["df=@./missing.csv"]}, "cannot be read"),
        ({"inputs": ["df=@./x.png"]}, "UTF-8"),
        ({"inputs": ["df=@./x.py"]}, ".sql, .csv or .json"),
        ({"inputs": ["df=@./bad.csv"]}, "rows of one length"),
        ({"inputs": ["df=@./bad.json"]}, "list of objects"),
        ({"inputs": ["df=@./latin.csv"]}, "UTF-8"),
        ({"inputs": ["a=SELECT 1", "a=SELECT 2"]}, "one name"),
        ({"variables": ["x"]}, "name=value"),
        ({"charts": ["gif"]}, "vega-lite"),
        ({"task": "q.sql", "inputs": ["a=SELECT 1"]}, "a program's"),
    ],
)
def test_what_is_mistyped_is_a_sentence(folder: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        wanted(folder, **options)


def test_parameters_are_a_statements(folder: Path) -> None:
    with pytest.raises(ConfigError, match="--var"):
        tasks.wanted("sql", str(folder / "x.py"), "shop", parameters=["x=1"], relations=())


def test_values_keep_their_type_where_they_read_as_json() -> None:
    assert [variable(one)[1] for one in ("a=1", "a=1.5", "a=null", 'a="1"', "a=x=y", "a=")] == [
        1,
        1.5,
        None,
        "1",
        "x=y",
        "",
    ]
    big = table_of_csv("id,zip\n123456789012345678901,01234\n", "x")
    assert big["rows"] == [["123456789012345678901", "01234"]], "nothing is lost"
