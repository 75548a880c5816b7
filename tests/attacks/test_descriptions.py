"""Catalog and explain tasks over two worlds that differ only in protected values: not one byte differs."""

import importlib.util
import json
import sqlite3
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import TypeAdapter

from agent.core.limits import Limits
from agent.masking.policy import Policy
from agent.sources import Config
from tests.support.benches import catalog, document, explain, raw

FOLDER = Path(__file__).parent / "sql"
_spec = importlib.util.spec_from_file_location("worlds", FOLDER.parent / "worlds.py")
assert _spec is not None
assert _spec.loader is not None
worlds = importlib.util.module_from_spec(_spec)
sys.modules.setdefault("worlds", worlds)
_spec.loader.exec_module(worlds)

COMMENTS = """
COMMENT ON TABLE customers IS 'people';
COMMENT ON COLUMN customers.ssn IS 'tax number';
COMMENT ON VIEW v_deep IS 'views over views';
"""
MORE = """
CREATE TYPE mood AS ENUM ('canary-sad', 'canary-ok');
CREATE TABLE moods (id INTEGER, feels mood, hidden VARCHAR(9) DEFAULT 'canary-def');
CREATE TABLE denied (id INTEGER PRIMARY KEY, what VARCHAR(9));
CREATE VIEW v_literal AS SELECT name FROM customers WHERE notes <> 'canary-lit';
CREATE VIEW v_denied AS SELECT what FROM denied;
"""
SECRETS = (b"canary-sad", b"canary-def", b"canary-lit", b"denied", b"v_denied", b"hidden")


def policy(**more: Any) -> Policy:
    base = worlds.policy().model_dump(mode="json", exclude_defaults=True)
    rules = [{"match": one["match"], "rule": "redact"} for one in base["rules"]]
    rules += [{"match": f"*.*.{one}.*", "rule": "keep"} for one in ("customers", "orders", "employees", "v_*")]
    rules += [{"match": "*.*.moods.id", "rule": "keep"}, {"match": "*.*.moods.feels", "rule": "keep"}]
    given = {"version": 1, "default": "refuse", "rules": rules, "tables": {"deny": ["*.*.denied"]}, **more}
    return Policy.model_validate(given)


@dataclass
class Held:
    """A source that stays open between tasks."""

    inner: Any
    connection: Any

    @property
    def dialect(self) -> str:
        return str(self.inner.dialect)

    def connects(self) -> tuple[()]:
        return ()

    @contextmanager
    def open(self, *_: Any) -> Any:
        yield self.connection


def worlds_of(engine: str, folder: Path, request: pytest.FixtureRequest) -> list[Any]:
    made = []
    for number, change in enumerate((str, worlds.other_world)):
        script = change(worlds.schema(engine)) + (MORE.replace("mood,", "VARCHAR(9),") if engine == "sqlite" else MORE)
        path = folder / f"world{number}"
        if engine == "sqlite":
            con = sqlite3.connect(path)
            con.executescript("\n".join(line for line in script.splitlines() if "CREATE TYPE" not in line))
            con.close()
            made.append({"type": "sqlite", "path": str(path)})
        elif engine == "duckdb":
            with duckdb.connect(path) as con:
                con.execute(script + COMMENTS)
            made.append({"type": "duckdb", "path": str(path), "threads": 1})
        else:
            server = request.getfixturevalue("postgres")
            name = server.database(f"described_{number}", script + COMMENTS)
            with server.admin(name) as con:
                con.execute("ANALYZE")
            made.append(server.config(name))
    return made


@pytest.fixture(scope="module", params=["duckdb", "sqlite", "postgres"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("worlds")
    with ExitStack() as stack:
        held = []
        for config in worlds_of(request.param, folder, request):
            source = TypeAdapter(Config).validate_python(config)
            held.append(Held(source, stack.enter_context(source.open("shop", Limits()))))
        yield held


def both(task: Any, pair: Any, policy: Policy, **more: Any) -> bytes:
    first, second = (raw(task, source, policy, **more) for source in pair)
    assert first.data == second.data
    assert first.disclosure == second.disclosure
    return first.data


@pytest.mark.parametrize("default", ["refuse", "redact", "keep"])
def test_catalogs_do_not_tell_the_worlds_apart(pair: Any, default: str) -> None:
    data = both(catalog(), pair, policy(default=default, catalog={"enum_values": True}))
    for canary in worlds.CANARIES:
        assert canary.encode() not in data
    for secret in SECRETS if default == "refuse" else SECRETS[:5]:
        assert secret not in data


def test_the_catalog_tells_what_a_model_needs(pair: Any) -> None:
    found = {one["name"]: one for one in document(catalog(), pair[0], policy())["relations"]}
    assert set(found) >= {"customers", "orders", "employees", "moods", "v_contacts", "v_payroll", "v_deep", "v_orders"}
    masks = {name: {c["name"]: c["mask"] for c in one["columns"]} for name, one in found.items()}
    assert masks["customers"]["ssn"] == masks["employees"]["salary"] == "redact"
    assert masks["v_contacts"] == {"cid": "keep", "name": "keep", "contact": "redact", "dial": "redact"}
    assert masks["v_payroll"]["top_pay"] == masks["v_payroll"]["total_pay"] == masks["v_deep"]["u"] == "redact"
    assert masks["v_orders"] == {"id": "keep", "amount": "keep", "city": "keep"}
    assert masks["moods"] == {"id": "keep", "feels": "keep"}
    assert found["customers"]["primary_key"] == ["id"]
    if pair[0].dialect != "sqlite":
        assert found["v_deep"]["comment"] == "views over views"


def cases(dialect: str) -> list[str]:
    path = FOLDER / "postgres" / "leak.jsonl" if dialect == "postgres" else FOLDER / "leak.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [row["sql"] for row in rows if row["dialect"] == dialect]


@pytest.mark.parametrize("reveal", [False, True])
def test_explanations_do_not_tell_the_worlds_apart(pair: Any, reveal: bool) -> None:
    asked = cases(pair[0].dialect) or cases("duckdb")
    admitted = 0
    for statement in asked[:: 4 if reveal else 2]:
        data = both(explain(statement), pair, policy(), reveal=reveal)
        told = json.loads(data)
        admitted += told["admitted"]
        guesses = [canary for canary in worlds.CANARIES if canary in statement]
        assert not [one for one in worlds.CANARIES if one.encode() in data and one not in guesses], statement
        if not reveal:
            assert not [one for one in SECRETS if one in data and one.decode() not in statement], statement
        if told["admitted"] and told["output"] is not None:
            made_of = [one for one in told["output"] for origin in one["from"] if origin["column"].endswith(".ssn")]
            assert all(one["rule"] == "redact" for one in made_of), statement
    assert admitted > len(asked) // 10


def test_estimates_come_only_where_nothing_protected_is_read(pair: Any) -> None:
    for statement in ("SELECT amount FROM orders", "SELECT name FROM customers", "SELECT city FROM v_orders"):
        told = json.loads(both(explain(statement), pair, policy()))
        assert told["estimate"] is None or statement == "SELECT amount FROM orders"
    if pair[0].dialect != "sqlite":
        open_ = Policy(version=1, default="keep")
        assert document(explain("SELECT city FROM customers"), pair[0], open_)["estimate"] is not None


def test_no_plan_opens_a_view(pair: Any) -> None:
    """Also where every column may be seen: the engine's plan would show the view's own tables and literals."""
    open_ = Policy(version=1, default="keep")
    assert document(explain("SELECT name FROM v_literal"), pair[0], open_)["estimate"] is None
    told = document(explain("EXPLAIN SELECT name FROM v_literal"), pair[0], open_)
    assert (told["admitted"], told["refusal"]["code"]) == (False, "sql.explain")
