"""Catalog and explain jobs as people and platforms ask for them: on the command line, and by file drop."""

import json

import pytest

ASK = "SELECT name, ssn, 'tel ' || phone AS dial FROM customers ORDER BY id LIMIT :n"


def masks(value):
    return {one["name"]: {c["name"]: c["mask"] for c in one["columns"]} for one in value["relations"]}


@pytest.fixture(scope="module")
def jobs(site):
    """A catalog job and an explain job, submitted to a running agent."""
    with site.running():
        made = {
            "catalog": site.json("submit", "--kind", "catalog", "--source", "shop", "--wait"),
            "explain": site.json(
                "submit", site.query(ASK), "--kind", "explain", "--source", "shop", "--param", "n=2", "--wait"
            ),
        }
    made["files"] = sorted((site.drop / "outbox" / "new").glob("*.mres"), key=lambda path: path.stat().st_mtime_ns)
    return made


def test_a_catalog_job_by_file_drop(jobs):
    outcome = jobs["catalog"]
    assert (outcome["outcome"], outcome["truncated"], outcome["result"]["kind"]) == ("completed", False, "json")
    value = outcome["result"]["value"]
    assert masks(value)["customers"]["ssn"] == "redact"
    assert masks(value)["v_payroll"]["top_pay"] == "redact"
    assert "main.customers" in outcome["disclosure"]["relations"]
    assert "canary" not in json.dumps(outcome)


def test_an_explain_job_by_file_drop(jobs):
    value = jobs["explain"]["result"]["value"]
    assert value["admitted"]
    assert value["parameters"] == [{"name": "n", "given": True}]
    assert {one["name"]: one["rule"] for one in value["output"]} == {"name": "keep", "ssn": "redact", "dial": "redact"}
    assert "'***'" in value["sql"]


def test_open_shows_them_as_tables(site, jobs, tmp_path):
    catalog, explained = jobs["files"][-2:]
    table = site.cli("open", str(catalog))
    assert table.returncode == 0
    assert "main.customers" in table.stdout
    assert "redact" in table.stdout
    assert "what would run" in site.cli("open", str(explained)).stdout
    kept = tmp_path / "catalog.json"
    assert site.cli("open", str(catalog), "--format", "json", "--output", str(kept)).returncode == 0
    assert json.loads(kept.read_text()) == jobs["catalog"]
    refused = site.cli("open", str(catalog), "--format", "csv")
    assert (refused.returncode, "not rows" in refused.stderr) == (78, True)


@pytest.mark.full
def test_the_local_operator_asks_the_same(site, jobs):
    assert site.json("catalog", "shop")["result"]["value"] == jobs["catalog"]["result"]["value"]
    shown = site.cli("catalog", "shop", "--relation", "main.ord*").stdout
    assert "main.orders" in shown
    assert "main.customers" not in shown


def test_task_objects_on_a_stream(site):
    lines = [
        {"ref": 1, "kind": "catalog", "source": "ledger", "relations": ["*.orders"]},
        {
            "ref": 2,
            "kind": "explain",
            "task": {"kind": "sql", "source": "ledger", "statement": "SELECT ssn FROM customers"},
        },
        {"ref": 3, "kind": "explain", "task": {"kind": "sql", "source": "shop", "statement": "DROP TABLE orders"}},
        {"ref": 4, "kind": "explain", "source": "shop", "statement": "SELECT 1"},
        {"ref": 5, "kind": "catalog", "source": "shop", "relations": ["a.b.c"]},
    ]
    done = site.cli("exec", "--jsonl", "-", stdin="\n".join(map(json.dumps, lines)))
    outcomes = {one["ref"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert masks(outcomes[1]["result"]["value"]).keys() == {"orders"}
    assert outcomes[2]["result"]["value"]["output"][0]["rule"] == "redact"
    refusal = outcomes[3]["result"]["value"]
    assert (refusal["admitted"], refusal["refusal"]["code"]) == (False, "sql.root")
    assert [outcomes[ref]["code"] for ref in (4, 5)] == ["task.malformed", "task.malformed"]


@pytest.mark.full
def test_the_policy_is_tried_out_with_reasons(site):
    shown = site.json("policy", "test", site.query(ASK), "--source", "shop", "--param", "n=2")
    assert [row[1] for row in shown["rows"]] == ["***", "***"]
    assert shown["explain"]["output"][1]["from"][0]["why"] == "rules[0] (match *.*.customers.ssn)"
    refused = site.cli("policy", "test", site.query("SELECT pg_sleep(9)"), "--source", "shop")
    assert (refused.returncode, "sql.function" in refused.stderr) == (1, True)
