"""The rewrite: every table behind its masks, nothing else changed."""

import hashlib
import hmac

import duckdb
import pytest

from agent.core.catalog import Catalog, Column, Relation
from agent.core.errors import Fault, Refuse
from agent.core.job import SourceName, SqlTask
from agent.dialects import DIALECTS
from agent.guard.sql import Plan, admit
from agent.masking import rewrite as rewriting
from agent.masking.audit_text import normalised
from agent.masking.ddl import catalog_from_json, catalog_of
from agent.masking.expressions import kind_of
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare, rewrite
from agent.masking.tokens import pads
from agent.masking.visible import visible

DDL = """
CREATE TABLE customers (id INTEGER, name VARCHAR, ssn VARCHAR, salary DECIMAL(12,2), dob DATE);
CREATE TABLE orders (id INTEGER, customer_id INTEGER, amount DECIMAL(12,2));
CREATE VIEW rich AS SELECT id, name FROM customers WHERE salary > 1000;
CREATE VIEW totals AS SELECT count(*) AS n, sum(salary) AS s FROM customers;
CREATE VIEW deep AS SELECT n FROM totals;
CREATE VIEW odd AS SELECT read_text('/etc/passwd') AS x;
CREATE VIEW loop_a AS SELECT x FROM loop_b;
CREATE VIEW loop_b AS SELECT x FROM loop_a;
"""
CATALOG = catalog_of(DDL, dialect="duckdb", source="shop")
PROTECT = [{"match": "*.*.customers.ssn", "rule": "redact"}, {"match": "*.*.customers.salary", "rule": "redact"}]


def policy(rules=PROTECT, **more):
    return Policy.model_validate({"version": 1, "default": "keep", "rules": rules, **more})


def made(sql, rules=PROTECT, roles=(), *, key=b"k" * 32, catalog=CATALOG, parameters=None, **more):
    task = SqlTask(source=SourceName("shop"), statement=sql, parameters=parameters or {})
    return prepare(task, catalog, policy(rules, **more), roles=roles, token_key=key, tenant="acme", policy_sha256="ab")


def test_a_table_becomes_its_masked_projection():
    sql = made("SELECT c.* FROM customers AS c WHERE c.id = 1").sql
    assert sql == (
        'SELECT "c".* FROM (SELECT "id" AS "id", "name" AS "name", \'***\' AS "ssn",'
        ' CAST(NULL AS DECIMAL(12, 2)) AS "salary", "dob" AS "dob" FROM "main"."customers") AS "c" WHERE "c"."id" = 1'
    )


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT ssn FROM customers WHERE id = 1", ["id", "ssn"]),
        ("SELECT count(*) FROM customers", ["id"]),
        ("SELECT SSN FROM customers c ORDER BY c.NAME", ["name", "ssn"]),
        ("SELECT (SELECT dob) FROM customers", ["dob"]),
        ("SELECT name FROM customers JOIN (SELECT 1 AS id) AS x USING (id)", ["id", "name"]),
        ("SELECT a FROM customers AS c(a)", None),
        ("SELECT c FROM customers AS c", None),
        ("SELECT x FROM (customers) AS x", None),
        ("SELECT 1 FROM customers NATURAL JOIN orders", None),
        ("SELECT COLUMNS('s.*') FROM customers", None),
        ("FROM customers", None),
        ("SELECT count(c.*) FROM customers AS c", None),
        ("UNPIVOT customers ON ssn INTO NAME n VALUE v", None),
    ],
)
def test_only_columns_that_may_be_read_are_projected(sql, columns):
    text = made(sql).sql
    inner = text[: text.index(' FROM "main"."customers"')].rpartition("(SELECT ")[2]
    found = [name for name in ("id", "name", "ssn", "salary", "dob") if f'AS "{name}"' in inner]
    assert found == (columns or ["id", "name", "ssn", "salary", "dob"])


def test_unprotected_tables_are_enclosed_too():
    assert 'FROM (SELECT "id" AS "id" FROM "main"."orders") AS "orders"' in made("SELECT rowid FROM orders").sql


def test_ctes_get_fresh_names():
    sql = made("WITH orders AS (SELECT id FROM orders) SELECT orders.id FROM orders").sql
    assert 'FROM "meridyen_cte_1" AS "orders"' in sql
    assert '"main"."orders"' in sql


def test_reserved_names_are_refused():
    with pytest.raises(Refuse, match="reserved"):
        made("SELECT id AS meridyen_cte_1 FROM orders")


def test_a_view_is_its_definition_over_masked_tables():
    sql = made("SELECT * FROM rich").sql
    assert sql.count('"main"."customers"') == 1
    assert "CAST(NULL AS DECIMAL(12, 2))" in sql
    assert '"main"."rich"' not in sql


def test_views_that_cannot_be_masked_are_refused():
    for name in ("odd", "loop_a"):
        with pytest.raises(Refuse) as caught:
            made(f"SELECT * FROM {name}")
        assert caught.value.code == "sql.view"
        assert "/etc/passwd" not in caught.value.message + caught.value.hint


def test_a_rule_on_a_views_column_adds_to_what_is_beneath():
    rules = [*PROTECT, {"match": "*.*.deep.n", "rule": "null"}]
    assert made("SELECT n FROM deep", rules).disclosure.columns["main.deep.n"] == "null"
    assert made("SELECT n FROM deep").disclosure.columns["main.customers.salary"] == "redact"


def test_explain_only_over_unprotected_tables():
    assert made("EXPLAIN SELECT * FROM orders").sql.startswith("EXPLAIN SELECT")
    with pytest.raises(Refuse) as caught:
        made("EXPLAIN SELECT id FROM customers")
    assert caught.value.code == "sql.explain"


def test_roles_lift_a_rule():
    rules = [{"match": "*.*.customers.salary", "rule": {"bucket": 100}, "unless_roles": ["auditor"]}]
    assert made("SELECT salary FROM customers", rules).disclosure.columns["main.customers.salary"] == "bucket"
    assert (
        made("SELECT salary FROM customers", rules, ["auditor"]).disclosure.columns["main.customers.salary"] == "keep"
    )


def test_denied_and_missing_relations_read_the_same():
    said = []
    for name in ("customers", "nothere"):
        with pytest.raises(Refuse) as caught:
            made(f"SELECT * FROM {name}", tables={"deny": ["*.*.customers"]})
        said.append((caught.value.code, caught.value.message.replace(name, "X"), caught.value.hint))
    assert said[0] == said[1]


def test_a_denied_table_is_denied_beneath_views_too():
    with pytest.raises(Refuse) as caught:
        made("SELECT * FROM rich", tables={"deny": ["*.*.customers"]})
    assert caught.value.code == "sql.view"


def test_default_refuse_hides_columns():
    rules = [{"match": "*.*.customers.id", "rule": "keep"}]
    shown = visible(CATALOG, policy(rules, default="refuse"))
    assert [[c.name for c in r.columns] for r in shown.relations if r.kind == "table"] == [["id"]]
    assert '"ssn"' not in made("SELECT * FROM customers", rules, default="refuse").sql
    with pytest.raises(Refuse):
        made("SELECT * FROM orders", rules, default="refuse")


def test_the_disclosure_names_the_columns_used():
    found = made("SELECT name FROM customers WHERE ssn = 'x'").disclosure
    assert found.columns == {"main.customers.name": "keep", "main.customers.ssn": "redact"}
    assert len(made("SELECT * FROM customers").disclosure.columns) == 5
    assert len(made("SELECT customers FROM customers").disclosure.columns) == 5
    assert (found.source, found.relations, found.policy_sha256) == ("shop", ("main.customers",), "ab")


def test_parameters_must_match():
    assert made("SELECT :a", parameters={"a": 1}).parameters == {"a": 1}
    for sql, parameters in (("SELECT :a", {}), ("SELECT 1", {"a": 1})):
        with pytest.raises(Refuse) as caught:
            made(sql, parameters=parameters)
        assert caught.value.code == "sql.parameter"


TOKEN = [{"match": "*.*.customers.ssn", "rule": {"token": {"domain": "ssn"}}}]


def test_tokens_equal_hmac_and_keep_null():
    plan = made("SELECT ssn FROM customers", TOKEN, keys={"token": "env:K"})
    assert "getvariable" in plan.sql.lower()
    con = duckdb.connect()
    con.execute("CREATE TABLE customers (id INT, name VARCHAR, ssn VARCHAR, salary DECIMAL(12,2), dob DATE)")
    con.execute("INSERT INTO customers (ssn) VALUES ('900-55-0001'), (NULL), ('ü')")
    ((name, both),) = plan.variables.items()
    for suffix, half in (("i", both[:64]), ("o", both[64:])):
        con.execute(f"SET VARIABLE {name}_{suffix} = $v", {"v": half})
    got = [row[0] for row in con.execute(plan.sql).fetchall()]
    key = bytes(b ^ 0x36 for b in both[:32])
    want = ["tok_" + hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32] for text in ("900-55-0001", "ü")]
    assert got == [want[0], None, want[1]]
    assert both[:64].hex() not in plan.sql


def test_token_keys_differ_by_tenant_and_domain():
    found = {pads(b"k" * 32, tenant, [domain])[f"meridyen_{domain}"] for tenant in "ab" for domain in ("x", "y")}
    assert len(found) == 4


def test_a_missing_token_key_is_a_fault():
    for key in (None, b"short"):
        with pytest.raises(Fault):
            made("SELECT ssn FROM customers", TOKEN, key=key, keys={"token": "env:K"})


def test_a_table_outside_its_mask_is_never_written(monkeypatch):
    """The proof is over the text that was built: a rewrite that leaves a table bare must not get through."""
    monkeypatch.setattr(rewriting.Builder, "_replace", lambda *_: None)
    with pytest.raises(Refuse) as caught:
        made("SELECT ssn FROM customers")
    assert caught.value.code == "sql.rewrite"


def test_a_projection_that_differs_from_the_policy_is_never_written(monkeypatch):
    genuine = rewriting.Builder.select

    def weaker(self, relation):
        select = genuine(self, relation)
        select.args["expressions"][2].this.replace(select.args["expressions"][1].this.copy())
        return select

    monkeypatch.setattr(rewriting.Builder, "select", weaker)
    with pytest.raises(Refuse) as caught:
        made("SELECT * FROM customers")
    assert caught.value.code == "sql.rewrite"


def test_the_rewrite_guards_again(monkeypatch):
    """A function that appears between admission and the final text is refused."""
    plan = admit(
        SqlTask(source=SourceName("shop"), statement="SELECT upper(name) FROM customers", parameters={}), CATALOG
    )
    tree = plan.tree.copy()
    for node in tree.find_all(DIALECTS["duckdb"].parse("SELECT upper(1)")[0].expressions[0].__class__):
        node.replace(DIALECTS["duckdb"].parse("SELECT read_text('/etc/passwd')")[0].expressions[0])
    smuggled = Plan(tree=tree, dialect=plan.dialect, explain=False, names=frozenset(), parameters={})
    with pytest.raises(Refuse) as caught:
        rewrite(smuggled, CATALOG, policy(), roles=(), token_key=None, tenant="t")
    assert caught.value.code == "sql.function"


@pytest.mark.parametrize(
    ("type_text", "kind"),
    [
        ("VARCHAR", "text"),
        ("VARCHAR(11)", "text"),
        ("INTEGER", "integer"),
        ("HUGEINT", "integer"),
        ("DECIMAL(12,2)", "number"),
        ("DOUBLE", "number"),
        ("DATE", "date"),
        ("TIMESTAMP", "timestamp"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp"),
        ("TIME", "other"),
        ("STRUCT(a INTEGER)", "other"),
        ("INTEGER[]", "other"),
        ("BLOB", "other"),
        ("", "other"),
        ("no such type (", "other"),
    ],
)
def test_kinds(type_text, kind):
    assert kind_of(type_text, DIALECTS["duckdb"]) == kind


def test_audit_text_holds_no_literal():
    sql = "SELECT 'Ann', 42, \"odd name\" FROM t -- Ann\nWHERE x = 1e3 AND y = $$Bob$$"
    shape = normalised(sql, "duckdb")
    assert shape == 'SELECT ? , ? , "?" FROM t WHERE x = ? AND y = ?'
    assert normalised("SELECT 'open", "duckdb") == ""


def test_a_catalog_document():
    found = catalog_from_json(
        '{"relations": [{"schema": "s", "name": "t", "columns": [{"name": "a", "type": "INT"}]}], "extra": 1}',
        dialect="duckdb",
        source="shop",
    )
    assert found == Catalog("shop", "duckdb", "main", (Relation("s", "t", (Column("a", "INT"),)),))
