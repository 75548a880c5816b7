"""The demo's database holds the real rows, and its policy knows every column that has to stay."""

from pathlib import Path

import duckdb
import pytest
import yaml

from agent.cli import demo_data
from agent.core.errors import ConfigError
from agent.masking.policy import Policy

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def lahman(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lahman") / "lahman.duckdb"
    demo_data.build_lahman(path)
    return path


def ask(path: Path, statement: str) -> list[tuple[object, ...]]:
    with duckdb.connect(path, read_only=True) as database:
        return database.sql(statement).fetchall()


def test_all_rows_are_there(lahman: Path) -> None:
    counts = [ask(lahman, f"SELECT count(*) FROM {table}")[0][0] for table in ("people", "salaries", "batting")]
    assert counts == [20_093, 26_428, 108_789]


def test_the_view_adds_salaries_up(lahman: Path) -> None:
    difference = "SELECT (SELECT sum(total) FROM payroll) - (SELECT sum(salary) FROM salaries)"
    assert ask(lahman, difference) == [(0,)]


def test_a_building_site_is_left_clean(lahman: Path) -> None:
    assert [path.name for path in lahman.parent.iterdir()] == ["lahman.duckdb"]


def test_an_existing_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "here.duckdb").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        demo_data.build_lahman(tmp_path / "here.duckdb")
    assert (tmp_path / "here.duckdb").read_bytes() == b"mine"


def test_without_the_data_package_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(ConfigError, match="make setup"):
        demo_data.build_lahman(tmp_path / "none.duckdb")


def test_births_given_names_and_salaries_stay(lahman: Path) -> None:
    policy = Policy.model_validate(yaml.safe_load((ROOT / "config/demo/lahman.policy.yaml").read_text()))
    columns = ask(lahman, "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal")
    kept = {
        f"{table}.{column}"
        for table, column in columns
        if (rule := policy.rule_for(("lahman", "main", str(table), str(column)), ())) and rule.rule == "keep"
    }
    assert "people.nameLast" in kept
    assert {name for name in kept if "birth" in name} == {"people.birthCountry"}
    assert (
        kept & {"people.nameGiven", "people.nameFirst", "salaries.salary", "people.retroID", "people.bbrefID"} == set()
    )


@pytest.mark.full
def test_all_flights_are_there(tmp_path: Path) -> None:
    demo_data.build_flights(tmp_path / "flights.duckdb")
    kinds = "SELECT count(*), count(dep_delay), typeof(any_value(time_hour)) FROM flights"
    assert ask(tmp_path / "flights.duckdb", kinds) == [(336_776, 328_521, "TIMESTAMP WITH TIME ZONE")]
