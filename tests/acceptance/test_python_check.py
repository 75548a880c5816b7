"""`agent python check`, as it is typed."""

import json
import os
import subprocess
from pathlib import Path

from tests.support.silent import SILENT_AGENT


def cli(folder: Path, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    command = [*SILENT_AGENT, "python", "check", *arguments]
    root = str(Path(__file__).parents[2])
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": root}
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, timeout=120, cwd=folder, env=environment
    )


def test_a_refused_program_is_told_where_and_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("import pandas as pd\nimport requests\nresult = df.__globals__\n")
    done = cli(tmp_path, "x.py")
    assert done.returncode == 1
    third = "The attribute __globals__ is reserved for the interpreter. Pass what a function needs as its arguments."
    assert done.stderr.decode().splitlines() == [
        "agent: refused: python.import: The module requests is not allowed here.",
        "  No network here: name the data as an input.",
        "  line 2, column 8: requests",
        f"  line 3, column 13: {third}",
    ]
    assert cli(tmp_path, "-", stdin=b"\xef\xbb\xbfresult = df\r\n").stdout == b"admitted\n"


def test_one_answer_a_line(tmp_path: Path) -> None:
    lines = [
        {"ref": 1, "code": "result = 1"},
        {"ref": "b", "code": "x = 1\neval('1')"},
        {
            "ref": 3,
            "kind": "python",
            "code": "result = df",
            "inputs": {"df": {"kind": "python", "code": "import socket"}},
        },
        {"ref": 4, "code": "result = 1", "variables": {"eval": 1}},
        {"ref": 5},
        {"ref": 6, "kind": "sql", "source": "s", "statement": "select 1"},
        {"ref": 7, "code": "x = '\ud800'"},
    ]
    data = "\n".join(json.dumps(line) for line in lines) + "\nnot json\n"
    done = cli(tmp_path, "--jsonl", "-", stdin=data.encode())
    assert done.returncode == 0
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["ref"], one["code"]) for one in answers[:6]] == [
        (1, "ok"),
        ("b", "python.construct"),
        (3, "python.import"),
        (4, "python.input"),
        (5, "task.malformed"),
        (6, "task.kind"),
    ]
    assert not answers[6]["admitted"]
    assert (answers[7]["ref"], answers[7]["code"]) == (None, "task.malformed")
    assert answers[0] == {"ref": 1, "admitted": True, "code": "ok", "message": "", "hint": "", "problems": []}
    assert answers[1]["problems"] == [
        {
            "code": "python.construct",
            "message": "The function eval is not allowed.",
            "hint": "Write the expression itself; for literals in text, use ast.literal_eval or json.loads.",
            "name": "eval",
            "line": 2,
            "column": 1,
        }
    ]


def test_either_one_program_or_lines(tmp_path: Path) -> None:
    assert cli(tmp_path, "x.py", "--jsonl", "-").returncode == 2


def test_the_sites_list_decides(tmp_path: Path) -> None:
    site = tmp_path / "site"
    made = subprocess.run(
        [*SILENT_AGENT, "init", str(site)],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert made.returncode == 0, made.stderr
    with (site / "sandbox.yaml").open("a") as stream:
        stream.write("\npython:\n  imports: [json, socket]\n")
    assert cli(tmp_path, "-", "--config", str(site), stdin=b"import socket").returncode == 0
    refused = cli(tmp_path, "-", "--config", str(site), "--json", stdin=b"import os")
    assert json.loads(refused.stdout)["code"] == "python.import"
    assert refused.returncode == 1
