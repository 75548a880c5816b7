"""The commands that people type, end to end."""

import csv
import io
import json
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.silent import SILENT_AGENT

ASK = "SELECT id, name, ssn FROM customers ORDER BY id LIMIT 2"
SHOWN = [[1, "Alice Archer", "***"], [2, "Bob Brewer", "***"]]


@pytest.fixture(scope="module")
def submitted(site):
    with site.running():
        done = site.cli("submit", site.query(ASK), "--source", "shop", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    (result,) = (site.drop / "outbox" / "new").glob("*.mres")
    return json.loads(done.stdout), result


def test_a_signed_job_comes_back_masked_and_sealed(submitted):
    outcome, result = submitted
    assert outcome["outcome"] == "completed"
    assert outcome["rows"] == SHOWN
    assert outcome["columns"] == [
        {"name": "id", "type": "int32"},
        {"name": "name", "type": "string"},
        {"name": "ssn", "type": "string"},
    ]
    assert outcome["disclosure"]["columns"]["main.customers.ssn"] == "redact"
    assert result.read_bytes()[:8] == b"MERIDYN1"


def test_open_in_every_format(site, submitted, tmp_path):
    _, result = submitted
    table = site.cli("open", str(result))
    assert "Alice Archer" in table.stdout
    assert "main.customers.ssn (redact)" in table.stdout
    assert json.loads(site.cli("open", str(result), "--format", "json").stdout)["rows"] == SHOWN
    rows = list(csv.reader(io.StringIO(site.cli("open", str(result), "--format", "csv").stdout)))
    assert rows == [["id", "name", "ssn"], ["1", "Alice Archer", "***"], ["2", "Bob Brewer", "***"]]
    for name, read in (("parquet", pq.read_table), ("arrow", lambda path: pa.ipc.open_stream(path).read_all())):
        target = tmp_path / name
        assert site.cli("open", str(result), "--format", name, "--output", str(target)).returncode == 0
        assert read(target).column("name").to_pylist() == ["Alice Archer", "Bob Brewer"]


def test_an_altered_result_cannot_be_opened(site, submitted, tmp_path):
    _, result = submitted
    data = bytearray(result.read_bytes())
    data[-1] ^= 1
    broken = tmp_path / "broken.mres"
    broken.write_bytes(data)
    done = site.cli("open", str(broken))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Alice" not in done.stdout + done.stderr


def test_cells_that_a_spreadsheet_executes_are_quoted(site):
    ask = "SELECT '=1+1' AS a, '-2' AS b, -2 AS c, '@x' AS d, chr(9) || 'x' AS e, '+1' AS \"=f\""
    with site.running():
        job = site.json("submit", site.query(ask), "--source", "shop")
        path = site.result(job["id"])

        site.wait_for(path)
    quoted = list(csv.reader(io.StringIO(site.cli("open", str(path), "--format", "csv").stdout)))
    assert quoted == [["a", "b", "c", "d", "e", "'=f"], ["'=1+1", "'-2", "-2", "'@x", "'\tx", "'+1"]]
    raw = list(csv.reader(io.StringIO(site.cli("open", str(path), "--format", "csv", "--raw").stdout)))
    assert raw[1] == ["=1+1", "-2", "-2", "@x", "\tx", "+1"]
    assert "\t" not in site.cli("open", str(path)).stdout


def test_init_never_overwrites(site):
    before = (site.folder / "sandbox.yaml").read_bytes()
    done = subprocess.run([*SILENT_AGENT, "init", str(site.folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert "nothing was written" in done.stderr
    assert (site.folder / "sandbox.yaml").read_bytes() == before


def test_exec_runs_the_same_line(site):
    assert site.json("exec", site.query(ASK), "--source", "shop")["rows"] == SHOWN
    done = site.cli("exec", site.query("SELECT * FROM read_text('/etc/passwd')"), "--source", "shop")
    assert done.returncode == 1
    assert "sql.table_function" in done.stderr
    assert "root:" not in done.stdout + done.stderr


def test_exec_jsonl_keeps_order_and_goes_on(site):
    lines = [
        {"ref": "a", "kind": "sql", "source": "shop", "statement": "SELECT 1 AS x"},
        {"ref": 2, "kind": "sql", "source": "nope", "statement": "SELECT 1"},
        {"ref": 3, "kind": "sql", "source": "shop", "statement": "DROP TABLE orders"},
        {"ref": 4, "kind": "sql", "source": "shop", "statement": "SELECT :x AS v", "parameters": {"x": "ü"}},
        {"ref": 5, "kind": "dance"},
        {"ref": 6, "kind": "sql", "source": "ledger", "statement": "SELECT sum(amount) AS s FROM orders"},
        {"ref": 7, "kind": "sql", "source": "shop", "statement": "SELECT * FROM range(10)", "limits": {"rows": 3}},
        {
            "ref": 8,
            "kind": "sql",
            "source": "shop",
            "statement": "SELECT 99999999999999999999 AS big, sum(i) AS s FROM range(4) AS r(i) GROUP BY ALL",
        },
    ]
    text = "\n".join(map(json.dumps, lines)) + "\nnot json\n[1]\n\n"
    done = site.cli("exec", "--jsonl", "-", stdin=text)
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    codes = [(o["ref"], o["outcome"], o.get("code")) for o in outcomes]
    assert codes == [
        ("a", "completed", None),
        (2, "refused", "task.source"),
        (3, "refused", "sql.root"),
        (4, "completed", None),
        (5, "refused", "task.kind"),
        (6, "completed", None),
        (7, "failed", "limit.rows"),
        (8, "completed", None),
        (None, "refused", "task.malformed"),
        (None, "refused", "task.malformed"),
    ]
    assert outcomes[3]["rows"] == [["ü"]]
    assert outcomes[7]["rows"] == [["99999999999999999999", 6]]


def test_exec_jsonl_answers_before_it_reads_on(site):
    command = [*SILENT_AGENT, "exec", "--jsonl", "-", "--config", str(site.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for number in range(3):
            task = {"ref": number, "kind": "sql", "source": "shop", "statement": f"SELECT {number} AS n"}
            process.stdin.write(json.dumps(task) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["rows"] == [[number]]
        process.stdin.close()
        assert process.wait(30) == 0


def test_sql_check_needs_no_database(site, tmp_path):
    catalog = tmp_path / "catalog.sql"
    catalog.write_text(
        "CREATE TABLE t (a INTEGER, ssn VARCHAR); CREATE VIEW v AS SELECT a FROM t; INSERT INTO t VALUES (1)"
    )
    tasks = [
        {"ref": 1, "kind": "sql", "source": "any", "statement": "SELECT a, ssn FROM v JOIN t USING (a)"},
        {"ref": 2, "kind": "sql", "source": "any", "statement": "SELECT * FROM u"},
        {"ref": 3, "statement": "SELECT $x"},
        {"ref": 4, "kind": "sql", "source": "any", "statement": 5},
    ]
    done = site.cli(
        "sql",
        "check",
        "--dialect",
        "duckdb",
        "--catalog",
        str(catalog),
        "--jsonl",
        "-",
        stdin="\n".join(map(json.dumps, tasks)),
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(a["ref"], a["admitted"], a["code"]) for a in answers] == [
        (1, True, "ok"),
        (2, False, "sql.relation"),
        (3, True, "ok"),
        (4, False, "task.malformed"),
    ]
    assert answers[1]["hint"]
    assert '"main"."t"' in answers[0]["sql"]


def test_policy_test_shows_rules_and_nothing_raw(site):
    done = site.cli("policy", "test", site.query("SELECT name, ssn, phone FROM customers"), "--source", "shop")
    assert done.returncode == 0, done.stderr
    assert "main.customers.ssn" in done.stdout
    assert "redact" in done.stdout
    assert "'***' AS \"ssn\"" in done.stdout
    assert "900-55" not in done.stdout


def test_roles_must_be_granted(site):
    done = site.cli("exec", site.query(ASK), "--source", "shop", "--role", "payroll-auditor")
    assert done.returncode == 1
    assert "envelope.role" in done.stderr


def test_config_commands(site):
    assert site.cli("config", "check").returncode == 0
    assert "duckdb" in site.cli("config", "show", "--redacted").stdout
    broken = site.folder / "broken.yaml"
    broken.write_text((site.folder / "sandbox.yaml").read_text() + "tenent: x\n")
    done = subprocess.run(
        [*SILENT_AGENT, "config", "check", "--config", str(broken)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert "tenent" in done.stdout
    assert "tenant" in done.stdout


def test_trust_list_add_revoke(site, tmp_path):
    made = subprocess.run(
        [*SILENT_AGENT, "keys", "new", str(tmp_path / "ann"), "--user", "ann", "--tenant", "acme",
         "--audience", "agent:plant-7", "--drop", str(site.drop), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    key = json.loads(made.stdout)["signing"]
    added = site.cli(
        "trust", "add", "ann", "--key", str(tmp_path / "ann" / "signing.pub.jwk"),
        "--opening-key", str(tmp_path / "ann" / "opening.pub.jwk"), "--source", "shop",
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    assert key in added.stdout
    assert "ann" in site.cli("trust", "list").stdout
    assert site.cli("trust", "revoke", key).returncode == 0
    assert "revoked" in site.cli("trust", "list").stdout


def test_the_local_operator_asks_only_where_trust_says_so(site, request):
    """Whoever made trust.json before the first `agent exec` is told how to let the operator ask."""
    trust = site.folder / "trust.json"
    before = trust.read_text()
    request.addfinalizer(lambda: trust.write_text(before))
    trust.write_text(json.dumps({**json.loads(before), "submitters": {}, "recipients": {}}))
    question = site.query("SELECT 1 AS one")
    refused = site.cli("exec", question, "--source", "shop")
    assert refused.returncode == 1
    assert "envelope.untrusted" in refused.stderr
    assert "agent trust operator" in refused.stderr
    for _ in range(2):
        let = site.cli("trust", "operator")
        assert let.returncode == 0, let.stderr
    (operator,) = json.loads(trust.read_text())["submitters"]
    assert site.cli("exec", question, "--source", "shop").returncode == 0
    assert site.cli("trust", "revoke", operator).returncode == 0
    again = site.cli("trust", "operator")
    assert again.returncode == 78
    assert "revoked" in again.stderr


def test_usage_errors_are_short():
    for arguments in (["nope"], ["exec"], ["exec", "--bogus"], ["sql", "check", "--dialect", "duckdb"]):
        done = subprocess.run([*SILENT_AGENT, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_status_without_an_agent(site):
    done = site.cli("status")
    assert done.returncode == 3
    assert "not answering" in done.stdout or "no agent has run" in done.stderr


def test_audit_verifies_and_notices_a_changed_byte(site):
    assert site.json("exec", site.query("SELECT 1 AS one"), "--source", "shop")["rows"] == [[1]]
    assert site.json("audit", "verify")["ok"]
    (log,) = (site.folder / "state" / "audit" / "exec").glob("audit-*.jsonl")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    changed = site.folder / "changed"
    changed.mkdir()
    for file in log.parent.iterdir():
        if file.is_file():
            (changed / file.name).write_bytes(data if file == log else file.read_bytes())
    assert site.cli("audit", "verify", str(changed)).returncode == 1
