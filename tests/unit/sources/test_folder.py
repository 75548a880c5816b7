import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pytest

from agent.core.errors import Fault
from agent.core.limits import Limits
from agent.core.plan import MaskedPlan
from agent.core.ports import Connection
from agent.sources._folder import tables
from agent.sources.duckdb import Config

Plans = Callable[..., MaskedPlan]

ROWS = [{"id": 1, "s": "a"}, {"id": 2, "s": "b"}]
SELECT = "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(id, s)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    return root


def write(path: Path, sql: str = SELECT, options: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as con:
        con.execute(f"COPY ({sql}) TO '{str(path).replace(chr(39), chr(39) * 2)}' {options}")


def opened(folder: Path) -> AbstractContextManager[Connection]:
    return Config(type="duckdb", path=folder).open("shop", Limits())


def fault_of(folder: Path) -> str:
    with pytest.raises(Fault) as caught, opened(folder):
        pass
    assert caught.value.code == "source.unavailable"
    assert caught.value.hint
    assert caught.value.__context__ is None
    return caught.value.message


FILES = [
    "a.parquet",
    "b.csv",
    "c.CSV.gz",
    "d.json",
    "e.jsonl",
    "f.ndjson",
    "g[1] it's.csv",
    "h.csv.zst",
    "i.v2.parquet",
]


def test_each_file_is_a_table(folder: Path, plan: Plans) -> None:
    for name in FILES:
        write(folder / name)
    (folder / "t.tsv").write_text("id\ts\n1\ta\n2\tb\n")
    names = ["a", "b", "c", "d", "e", "f", "g[1] it's", "h", "i.v2", "t"]
    with opened(folder) as con:
        found = con.catalog()
        assert (found.databases, found.default_schema) == (("memory",), "main")
        assert [(r.schema, r.name, r.kind, r.definition) for r in found.relations] == [
            ("main", name, "table", None) for name in names
        ]
        assert {tuple(c.name for c in r.columns) for r in found.relations} == {("id", "s")}
        for name in names:
            (batch,) = con.run(plan(f'SELECT id, s FROM "main"."{name}" ORDER BY id')).batches
            assert batch.to_pylist() == ROWS


def test_a_name_that_looks_like_a_pattern_is_a_name(folder: Path, plan: Plans) -> None:
    write(folder / "a*.csv", "SELECT 1 AS id")
    write(folder / "ab.csv", "SELECT 2 AS id")
    write(folder / "[ab].csv", "SELECT 3 AS id")
    write(folder / "b.csv", "SELECT 4 AS id")
    with opened(folder) as con:
        assert {
            r.name: [row for b in con.run(plan(f'SELECT id FROM "{r.name}"')).batches for row in b.to_pylist()]
            for r in con.catalog().relations
        } == {"[ab]": [{"id": 3}], "a*": [{"id": 1}], "ab": [{"id": 2}], "b": [{"id": 4}]}


def test_a_sub_folder_is_one_table(folder: Path, plan: Plans) -> None:
    write(folder / "orders/2024/one.parquet")
    write(folder / "orders/two.parquet", "SELECT 3 AS id, 9 AS more")
    write(folder / "parts/year=2023/x.csv")
    write(folder / "parts/year=2024/x.csv")
    with opened(folder) as con:
        assert [r.name for r in con.catalog().relations] == ["orders", "parts"]
        assert {c.name for c in con.catalog().relations[0].columns} == {"id", "s", "more"}
        (batch,) = con.run(plan("SELECT count(*) AS n, count(more) AS m FROM orders")).batches
        assert batch.to_pylist() == [{"n": 3, "m": 1}]
        (batch,) = con.run(plan("SELECT id FROM parts WHERE year = 2024 ORDER BY id")).batches
        assert batch.num_rows == 2


def test_what_is_no_data_is_passed_over(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside.csv")
    write(folder / "kept.csv")
    write(folder / ".hidden.csv")
    write(folder / "_part.csv")
    write(folder / "_delta_log/x.json")
    write(folder / "empty/_x.csv")
    write(folder / "kept_too/a.csv")
    (folder / "kept_too/_SUCCESS").touch()
    (folder / "readme.md").touch()
    (folder / "noend").touch()
    os.mkfifo(folder / "pipe.csv")
    os.mkfifo(folder / "kept_too/pipe.csv")
    (folder / "out.csv").symlink_to(tmp_path / "outside.csv")
    (folder / "kept_too/out.csv").symlink_to(tmp_path / "outside.csv")
    (folder / "outside").symlink_to(tmp_path)
    (folder / "link.csv").symlink_to("kept.csv")
    found = tables(folder)
    assert [(t.name, [f.name for f in t.files]) for t in found] == [
        ("kept", ["kept.csv"]),
        ("kept_too", ["a.csv"]),
        ("link", ["link.csv"]),
    ]


def test_a_link_inside_the_folder_can_be_read(folder: Path, plan: Plans) -> None:
    write(folder / ".data/real.csv")
    (folder / "link.csv").symlink_to(".data/real.csv")
    with opened(folder) as con:
        assert next(con.run(plan("SELECT id FROM link")).batches).num_rows == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no data files"),
        (["readme.md"], "holds no data files"),
        (["a.csv", "a.parquet"], "same name"),
        (["a.csv", "A.csv"], "same name"),
        (["a.csv", "a/b.csv"], "same name"),
        (["a/b.csv", "a/c.json"], "several types"),
    ],
)
def test_what_is_ambiguous_is_said(folder: Path, names: list[str], message: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    assert message in fault_of(folder)


@pytest.mark.parametrize("name", ["x.parquet", "x.json"])
def test_a_broken_file_is_said(folder: Path, name: str) -> None:
    write(folder / "good.csv")
    (folder / name).write_text('{"a": ')
    assert "cannot be read as what its name says" in fault_of(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(folder: Path) -> None:
    write(folder / "x.csv")
    (folder / "x.csv").chmod(0)
    assert "may not read" in fault_of(folder)
    folder.chmod(0)
    assert "cannot be read" in fault_of(folder)


@pytest.fixture
def shop(folder: Path) -> Path:
    write(folder / "shop.csv")
    write(folder / "other.json", "SELECT 1 AS id")
    write(folder / ".secret.csv")
    return folder


@pytest.mark.parametrize(
    "sql",
    [
        "WITH x AS (COPY (SELECT 1) TO '{0}/shop.csv' (USE_TMP_FILE false)) SELECT 1",
        "WITH x AS (COPY (SELECT 1) TO '{0}/shop.csv') SELECT 1 FROM x",
        "SELECT (WITH x AS (COPY (SELECT 1) TO '{0}/shop.csv' (USE_TMP_FILE false)) SELECT count(*) FROM x)",
        "VALUES (1) UNION ALL (WITH x AS (COPY (SELECT 1) TO '{0}/shop.csv' (USE_TMP_FILE false)) SELECT 1)",
        "PIVOT (WITH x AS (COPY (SELECT 1) TO '{0}/shop.csv' (USE_TMP_FILE false)) SELECT 1 AS a) ON a",
        "EXPLAIN ANALYZE WITH x AS (COPY (SELECT 1) TO '{0}/shop.csv' (USE_TMP_FILE false)) SELECT 1",
        "WITH x AS (INSERT INTO shop VALUES (1, 'x') RETURNING id) SELECT id FROM x",
        "COPY (SELECT 1) TO '{0}/shop.csv'",
        "COPY (SELECT 1) TO '{0}/new.csv'",
        "CREATE TABLE t AS SELECT 1",
        "FROM read_csv('{0}/.secret.csv')",
        "FROM glob('{0}/*')",
        "ATTACH '{0}/new.duckdb' AS n",
    ],
)
def test_nothing_is_written_and_no_other_file_is_read(shop: Path, plan: Plans, sql: str) -> None:
    """The database over a folder is in memory, so the engine would let a statement write files that it may read."""
    before = {path: path.read_bytes() for path in shop.iterdir()}
    with opened(shop) as con, pytest.raises(Fault):
        list(con.run(plan(sql.format(shop))).batches)
    assert {path: path.read_bytes() for path in shop.iterdir()} == before


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT id FROM shop",
        "PIVOT shop ON s USING sum(id)",
        "SELECT s FROM (PIVOT shop ON id IN (1, 2) USING first(s)) t(s)",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r",
        "SELECT 'COPY_QUERY_NODE' AS type, $x AS x UNION ALL BY NAME SELECT s AS type, 'COPY' AS x FROM shop",
    ],
)
def test_queries_run(shop: Path, plan: Plans, sql: str) -> None:
    with opened(shop) as con:
        assert list(con.run(plan(sql, {"x": "INSERT"} if "$x" in sql else {})).batches)


def test_values_that_do_not_fit_the_sniffed_type_are_an_error_without_them(folder: Path, plan: Plans) -> None:
    lines = "\n".join(map(str, range(30_000)))
    (folder / "x.csv").write_text(f"n\n{lines}\nSECRET\n")
    with opened(folder) as con, pytest.raises(Fault) as caught:
        list(con.run(plan("SELECT n FROM x")).batches)
    assert caught.value.code == "source.error"
    assert "SECRET" not in caught.value.message + caught.value.hint


def test_reads_the_folder_only(folder: Path) -> None:
    assert Config(type="duckdb", path=folder).reads() == (folder,)
