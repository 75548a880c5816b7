"""Every kind of task: the lists agree, and each keeps what the line relies on."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.core.errors import Refuse
from agent.core.job import CatalogTask, ExplainTask, PythonTask, SourceName, SqlTask, submitted
from agent.core.order import PythonTerms
from agent.core.table import Document, Masked
from agent.sources.duckdb import Config
from agent.wire.models import KINDS as PUBLISHED
from agent.worker.kinds import KINDS, base, explain_program, opening, program_inputs, sandboxed
from agent.worker.kinds.base import Notes
from tests.support import benches

SQL = SqlTask(source=SourceName("shop"), statement="SELECT 1 AS a", parameters={})
TASKS: dict[str, Any] = {
    "sql": SQL,
    "catalog": CatalogTask(source=SourceName("shop")),
    "explain": ExplainTask(task=SQL),
    "python": PythonTask(code="result = df", inputs={"df": SQL}),
}
SHARED = {module.__name__.rpartition(".")[2] for module in (base, explain_program, opening, program_inputs, sandboxed)}


@pytest.fixture
def shop(tmp_path: Path) -> Config:
    duckdb.connect(str(tmp_path / "shop.duckdb")).close()
    return Config(type="duckdb", path=tmp_path / "shop.duckdb")


def test_what_is_published_is_what_runs_and_each_kind_is_one_file() -> None:
    folder = Path(base.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(KINDS) == set(PUBLISHED) == set(TASKS)
    assert files - SHARED == set(KINDS)


@pytest.mark.parametrize("kind", sorted(TASKS))
def test_a_kind_takes_no_task_of_another(kind: str, shop: Config) -> None:
    for other in sorted(set(TASKS) - {kind}):
        with ExitStack() as stack, pytest.raises(Refuse) as caught:
            KINDS[kind](benches.bench(TASKS[other], shop, python=PythonTerms()), Notes(), stack)
        assert caught.value.code == "task.kind"


@pytest.mark.parametrize("kind", sorted(TASKS))
def test_a_source_that_is_not_configured_is_refused_by_name(kind: str) -> None:
    with ExitStack() as stack, pytest.raises(Refuse) as caught:
        KINDS[kind](benches.bench(TASKS[kind], None, python=PythonTerms()), Notes(), stack)
    assert caught.value.code == "task.source"


@pytest.mark.parametrize("kind", sorted(TASKS))
def test_a_task_names_its_sources_and_what_was_submitted(kind: str) -> None:
    task = TASKS[kind]
    assert task.sources == ("shop",)
    assert all(isinstance(text, str) for text in submitted(task))
    assert bool(submitted(task)) == (kind != "catalog")


@pytest.mark.parametrize("kind", sorted(set(TASKS) - {"python"}))
def test_a_kind_notes_what_it_disclosed(kind: str, shop: Config) -> None:
    """Of programs `tests/unit/worker/test_python.py` shows it: they need a sandbox."""
    notes = Notes()
    with ExitStack() as stack:
        made = KINDS[kind](benches.bench(TASKS[kind], shop), notes, stack)
        if isinstance(made, Masked):
            assert sum(batch.num_rows for batch in made.batches) == 1
    assert isinstance(made, Masked | Document)
    assert notes.disclosure == made.disclosure
    assert made.disclosure.policy_sha256 == "b" * 64
