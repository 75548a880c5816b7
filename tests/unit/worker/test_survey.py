"""The survey of a source: ordered on this host alone, and no value leaves the worker."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from agent.core.errors import Refuse
from agent.core.order import Order
from agent.wire.models import JobModel
from agent.worker import survey
from agent.worker.kinds.base import Bench, Notes
from agent.worker.survey import _band, _column, _distinct
from tests.unit.worker.conftest import order

AGENT = Path(__file__).parents[3] / "agent"


def test_an_order_asks_for_none_unless_told_and_carries_it() -> None:
    plain = order({})
    assert plain.survey is None
    assert Order.decode(plain.encode()).survey is None
    assert Order.decode(replace(plain, survey=7).encode()).survey == 7


def test_only_the_local_line_orders_one() -> None:
    """Who gives `survey` a value: the local line, from the command line of this host."""
    giving = {
        path.relative_to(AGENT).as_posix()
        for path in AGENT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        for word in node.keywords
        if word.arg == "survey"
    }
    assert giving == {"app.py", "service/local.py", "service/perform.py", "worker/pipeline.py", "cli/surveys.py"}
    tree = ast.parse((AGENT / "service/perform.py").read_text())
    orders = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and "order_of" in ast.unparse(node)]
    assert orders
    assert not any(word.arg == "survey" for node in orders for word in node.keywords)


def test_only_the_survey_runs_a_statement_without_masks() -> None:
    importers = {
        path.relative_to(AGENT).as_posix() for path in AGENT.rglob("*.py") if "masking.sampling" in path.read_text()
    }
    assert importers == {"worker/survey.py"}


@pytest.mark.parametrize("kind", ["sql", "explain"])
def test_no_other_task_is_surveyed(kind: str) -> None:
    class Asked:
        def __init__(self) -> None:
            self.kind = kind

    class Job:
        task = Asked()

    bench = Bench(job=Job(), sources={}, policy=None, policy_sha256="", token_key=None, limits=None, survey=5)
    with pytest.raises(Refuse):
        survey.run(bench, Notes())


def test_no_envelope_can_say_it() -> None:
    job = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text())
    assert "survey" not in json.dumps(job)
    with pytest.raises(ValidationError):
        JobModel.model_validate({"survey": 5})
    assert "survey" not in JobModel.model_json_schema()["properties"]


def test_bands_are_coarse() -> None:
    assert [_band(share) for share in (0, 0.001, 0.05, 0.051, 0.5, 0.51, 1)] == [
        "none",
        "few",
        "few",
        "some",
        "some",
        "most",
        "most",
    ]


def test_a_column_becomes_words_only() -> None:
    cells = ["ann@example.org"] * 30 + ["x"] * 60 + [None] * 10
    facts = _column("c", pa.chunked_array([cells[:50], cells[50:]]))
    assert facts == {"nulls": "some", "kinds": {"email": "some"}, "distinct": "few"}
    assert _distinct(pa.chunked_array([list(range(50))]), 50) == "all"
    assert _distinct(pa.chunked_array([[None, None]], pa.string()), 0) == "one"
