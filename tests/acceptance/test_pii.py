"""The second net, `policy lint` and `policy suggest` over the real command line."""

import json
from pathlib import Path

import duckdb
import pytest
import yaml

from agent.masking.policy import Policy
from tests.acceptance.conftest import Site, make_site

CANARIES = ["canary-ann@example.org", "4111111111111111", "canary-memo", "+49 30 123", "219-09-1"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = make_site(tmp_path_factory.mktemp("pii") / "site")
    with duckdb.connect(str(made.folder / "shop.duckdb")) as con:
        con.execute(
            "CREATE TABLE visits AS SELECT i::INTEGER AS id, 'canary-ann@example.org' AS kontakt, 'new' AS state,"
            " '+49 30 123' || (1000 + i) AS reach, 4111111111111111 AS karte, '219-09-1' || (100 + i) AS code,"
            " 'canary-memo ' || i AS memo, DATE '1980-01-01' AS geburtsdatum FROM range(100) t(i)"
        )
    return made


def policy(site: Site, net: str, more: str = "") -> None:
    (site.folder / "policy.yaml").write_text(f"version: 1\ndefault: keep\n{more}release: {{pii_net: {net}}}\n")


ASK = "SELECT kontakt || '' AS a, karte, state FROM visits WHERE id < 2"


def test_mask_labels_what_the_rules_let_through_and_counts_it(site: Site) -> None:
    policy(site, "mask")
    found = site.json("exec", site.query(ASK), "--source", "shop")
    assert found["rows"] == [["[email]", None, "new"]] * 2
    assert found["disclosure"]["pii"] == {"a: email": 2, "karte: card": 2}
    assert found["disclosure"]["suppressed"] == 0


@pytest.mark.full
def test_drop_row_refuse_report_off(site: Site) -> None:
    query = site.query(ASK)
    policy(site, "drop_row")
    dropped = site.json("exec", query, "--source", "shop")
    assert (dropped["rows"], dropped["disclosure"]["suppressed"]) == ([], 2)
    policy(site, "{action: mask, actions: {card: refuse}}")
    refused = site.cli("exec", query, "--source", "shop", "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["code"] == "policy.pii"
    assert "karte (card)" in refused.stdout
    assert not [canary for canary in CANARIES if canary in refused.stdout + refused.stderr]
    for net, counted in (("report", {"a: email": 2, "karte: card": 2}), ("off", {})):
        policy(site, net)
        kept = site.json("exec", query, "--source", "shop")
        assert kept["rows"][0][0] == "canary-ann@example.org"
        assert kept["disclosure"]["pii"] == counted


@pytest.mark.full
def test_the_audit_counts_kinds_also_of_a_refused_result_and_holds_no_value(site: Site) -> None:
    policy(site, "refuse")
    site.cli("exec", site.query(ASK), "--source", "shop")
    log = "".join(path.read_text() for path in (site.folder / "state" / "audit" / "exec").glob("*.jsonl"))
    assert json.loads(log.splitlines()[-1])["pii"] == {"a: email": 2, "karte: card": 2}
    assert not [canary for canary in CANARIES if canary in log]


def test_suggest_shows_no_value_and_gives_a_policy_that_lint_reads(site: Site, tmp_path: Path) -> None:
    policy(site, "mask")
    done = site.cli("policy", "suggest", "shop")
    assert done.returncode == 0, done.stderr
    assert not [canary for canary in CANARIES if canary in done.stdout + done.stderr]
    rules = {line["match"]: line["rule"] for line in yaml.safe_load(done.stdout)["rules"]}
    assert Policy.model_validate(yaml.safe_load(done.stdout)).default == "redact"
    visits = {name.rpartition(".")[2]: rule for name, rule in rules.items() if ".visits." in name}
    wanted = {"id": "keep", "kontakt": "email", "state": "keep", "karte": "redact", "code": "redact"}
    assert visits == wanted | {"reach": {"partial": {"keep_last": 4}}, "geburtsdatum": "year"}
    file = tmp_path / "starter.yaml"
    file.write_text(done.stdout)
    linted = site.cli("policy", "lint", str(file), "--columns", "--json")
    assert linted.returncode == 0, linted.stdout
    columns = {one["column"]: one for one in json.loads(linted.stdout)["columns"]}
    row = columns["shop.main.visits.kontakt"]
    assert row["rule"] == "email"
    assert "visits.kontakt" in done.stdout.splitlines()[row["line"] - 1]


@pytest.mark.full
def test_suggest_by_names_alone_reads_no_row(site: Site) -> None:
    listed = site.json("policy", "suggest", "shop", "--rows", "0")["columns"]
    found = {one["match"]: one["rule"] for one in listed}
    assert found["shop.main.visits.geburtsdatum"] == "year"
    assert found["shop.main.visits.kontakt"] is None


@pytest.mark.full
def test_lint_names_lines_and_sensitive_columns_that_are_shown(site: Site) -> None:
    policy(site, "off", 'rules:\n  - {match: "*.*.nowhere.x", rule: redact}\n  - {match: "*.*.*.*", rule: keep}\n')
    found = site.cli("policy", "lint", "--json")
    findings = json.loads(found.stdout)["findings"]
    assert any(one["line"] == 5 and "shop.main.visits.geburtsdatum" in one["text"] for one in findings)
    assert any("second net" in one["text"] for one in findings)
    assert any(one["line"] == 4 for one in findings)  # matches nothing
    assert site.cli("policy", "lint", "--strict").returncode == 1
    assert site.cli("policy", "lint", "--offline").returncode == 0


def test_a_job_over_the_carrier_gets_no_survey(site: Site) -> None:
    """Whatever an envelope asks: the order alone says it, and the service's orders never do."""
    policy(site, "mask", 'tables: {deny: ["*.*.visits"]}\n')
    with site.running():
        done = site.cli("submit", "--kind", "catalog", "--source", "shop", "--wait", "--json")
        assert done.returncode == 0, done.stderr
        assert "visits" not in done.stdout
        asked = {"kind": "catalog", "source": "shop", "survey": 1000}
        task = site.folder / "task.json"
        task.write_text(json.dumps(asked))
        refused = site.cli("submit", str(task), "--wait", "--json")
        assert refused.returncode != 0
        assert "visits" not in refused.stdout + refused.stderr
