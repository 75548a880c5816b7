"""What becomes of a statement, as plain values: the text that runs and what it discloses, or all that is refused; where
the line says `asks`, how it is explained.

`python -m tests.attacks.written` writes anew what `sql/written.jsonl` says of its statements. Do so when a change of the
text that runs, or of what is told of a refused one, is meant; the difference is what has to be looked at.
"""

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from agent.core.catalog import Catalog
from agent.core.errors import Refuse
from agent.core.job import SourceName, SqlTask
from agent.core.plan import MaskedPlan
from agent.masking.ddl import catalog_of
from agent.masking.explain import Explained, Terms, explained
from agent.masking.explain import refused as explanation_of_refusal
from agent.masking.policy import Policy
from agent.masking.rewrite import prepare

FOLDER: Final = Path(__file__).parent / "sql"
PINNED: Final = FOLDER / "written.jsonl"
GIVEN: Final = ("dialect", "schema", "under", "asks", "sql", "parameters")
"""What a line asks; the rest of it is what becomes of it."""
_PROTECTED: Final = {
    "customers": {"ssn": "last4", "email": "email", "phone": {"partial": {"keep_first": 3}}, "dob": "year",
                  "card_number": {"constant": "n/a"}},
    "employees": {"ssn": "redact", "email": {"token": {"domain": "person"}}, "salary": {"bucket": 1000}, "dob": "month"},
}  # fmt: skip


def lines() -> list[dict[str, Any]]:
    """The statements, each with its dialect, its policy (`under`), and what becomes of it."""
    return [json.loads(line) for line in PINNED.read_text().splitlines()]


@cache
def policy(under: str) -> Policy:
    """`redact`: what is protected is redacted; `rules`: it is masked in every way; `people`: rows are of people;
    `groups`: all results are groups; `names`: what has no rule of its own is hidden, one table is denied.
    """
    paths = [(table, column, rule) for table, columns in _PROTECTED.items() for column, rule in columns.items()]
    given: dict[str, Any] = {"version": 1, "default": "keep", "keys": {"token": "env:KEY"}}
    if under in {"redact", "rules"}:
        rules = [{"match": f"*.*.{t}.{c}", "rule": "redact" if under == "redact" else rule} for t, c, rule in paths]
        return Policy.model_validate({**given, "rules": rules})
    if under == "names":
        kept = [{"match": f"*.*.*.{name}", "rule": "keep"} for name in ("id", "name", "city", "amount", "cid", "k")]
        return Policy.model_validate(
            {**given, "default": "refuse", "rules": kept, "tables": {"deny": ["*.*.employees", "*.*.visits"]}}
        )
    people = {f"*.*.{table}": "id" for table in ("customers", "employees")} | {"*.*.visits": "patient"}
    grouped = {"require_aggregate": True} if under == "groups" else {}
    return Policy.model_validate({**given, "subjects": people, "min_group_size": 3, "release": grouped})


@cache
def catalog(dialect: str, schema: str) -> Catalog:
    """Of `schema.sql` or `people.sql`."""
    script = (FOLDER / f"{schema}.sql").read_text()
    known = catalog_of(script, dialect=dialect, source="shop")
    return replace(known, databases=("shop", "SHOP"))


def becomes(line: dict[str, Any]) -> dict[str, Any]:
    """What becomes of a statement."""
    known, under = catalog(line["dialect"], line["schema"]), policy(line["under"])
    task = SqlTask(source=SourceName("shop"), statement=line["sql"], parameters=line.get("parameters", {}))
    terms = Terms(policy=under, policy_sha256="f" * 64, reveal=line.get("asks") == "reveal")
    try:
        made = prepare(task, known, under, roles=(), token_key=b"k" * 32, tenant="acme")
        if "asks" in line:
            return _explains(explained(task, known, made, terms))
    except Refuse as refusal:
        if "asks" in line:
            return _explains(explanation_of_refusal(task, line["dialect"], refusal, terms))
        return {"refused": [list(asdict(one).values()) for one in refusal.problems] or [refusal.code, refusal.message]}
    return {"runs": made.sql, **_besides(made)}


def _explains(told: Explained) -> dict[str, Any]:
    found = {"explains": told.value, "discloses": asdict(told.disclosure), "unestimated": told.unestimated}
    return dict(json.loads(json.dumps(found)))


def _besides(made: MaskedPlan) -> dict[str, Any]:
    told: dict[str, Any] = {
        "bound": dict(made.parameters),
        "exempt": sorted(made.exempt),
        "unordered": made.unordered,
        "relations": list(made.disclosure.relations),
        "columns": {name: rule for name, rule in made.disclosure.columns.items() if rule != "keep"},
        "notes": list(made.disclosure.notes),
        "variables": sorted(made.variables),
    }
    return {key: value for key, value in told.items() if value}


def main() -> None:
    """Write the file anew."""
    kept = [{key: line[key] for key in GIVEN if key in line} for line in lines()]
    text = "".join(json.dumps({**line, **becomes(line)}, ensure_ascii=False) + "\n" for line in kept)
    PINNED.write_text(text)


if __name__ == "__main__":
    main()
