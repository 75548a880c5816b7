"""What a program meets as inputs, and how the frames that it gives read; run in a real sandbox."""

import datetime as dt
import decimal
import struct

import pyarrow as pa
import pytest

from tests.support.sandboxes import Sandbox

GAPS = pa.table(
    {
        "text": ["a", None],
        "whole": pa.array([1, None], pa.int64()),
        "large": pa.array([2**60 + 1, None], pa.int64()),
        "full": pa.array([2**60 + 1, 2], pa.int64()),
        "small": pa.array([1, 2], pa.int8()),
        "flag": [True, None],
        "sure": [True, False],
        "price": pa.array([decimal.Decimal("1.25"), None]),
        "sum": pa.array([decimal.Decimal(7), decimal.Decimal(8)], pa.decimal128(38, 0)),
        "day": [dt.date(2024, 2, 29), None],
        "stamp": pa.array([0, None], pa.timestamp("ns")),
        "zoned": pa.array([0, None], pa.timestamp("us", "Europe/Vienna")),
        "span": pa.array([1500, None], pa.duration("ms")),
        "time": [dt.time(1, 2), None],
        "raw": [b"\xff", None],
        "list": [[1, 2], None],
        "nothing": pa.nulls(2),
        "code": pa.array(["x", "x"]).dictionary_encode(),
    }
)

MET = {
    "text": "str",
    "whole": "float64",
    "large": "Int64",
    "full": "int64",
    "small": "int8",
    "flag": "boolean",
    "sure": "bool",
    "price": "float64",
    "sum": "int64",
    "day": "datetime64[us]",
    "stamp": "datetime64[ns]",
    "zoned": "datetime64[us, Europe/Vienna]",
    "span": "timedelta64[ms]",
    "time": "object",
    "raw": "object",
    "list": "object",
    "nothing": "str",
    "code": "str",
}


def test_pandas_types_are_those_that_analysts_expect(sandbox: Sandbox) -> None:
    told = sandbox.run("result = {name: str(kind) for name, kind in df.dtypes.items()}", {"df": GAPS})
    assert told.value == MET


def test_a_frame_that_goes_straight_through_keeps_what_it_says(sandbox: Sandbox) -> None:
    frame = sandbox.run("result = df", {"df": GAPS}).frame
    assert frame.column_names == GAPS.column_names
    back = frame.to_pydict()
    same = ("text", "large", "full", "flag", "sure", "stamp", "zoned", "span", "time", "raw", "list", "nothing")
    expected = GAPS.to_pydict()
    assert {name: str(back[name]) for name in same} == {name: str(expected[name]) for name in same}
    assert (back["whole"], back["price"], back["sum"]) == ([1.0, None], [1.25, None], [7, 8])
    assert str(back["day"]) == "[datetime.datetime(2024, 2, 29, 0, 0), None]"


@pytest.mark.parametrize("frames", ["arrow", "polars"])
def test_other_libraries_lose_nothing(frames: str, sandbox: Sandbox) -> None:
    frame = sandbox.run("result = df", {"df": GAPS}, frames=frames).frame
    assert {name: str(v) for name, v in frame.to_pydict().items()} == {n: str(v) for n, v in GAPS.to_pydict().items()}


def test_dates_beyond_every_calendar_and_names_that_repeat(sandbox: Sandbox) -> None:
    far = pa.array([2**31 - 1, -(2**31)], pa.int32()).cast(pa.date32())
    table = pa.table([far, pa.array([1, 2]), pa.array([3, 4])], names=["d", "x", "x"])
    told = sandbox.run("result = {'n': len(df), 'names': list(df.columns)}", {"df": table})
    assert told.value == {"n": 2, "names": ["d", "x", "x_1"]}


def test_several_inputs_and_variables(sandbox: Sandbox) -> None:
    code = "result = orders.merge(people, on='id').assign(f=factor * extra['k'][0])"
    inputs = {"orders": pa.table({"id": [1, 2], "v": [5, 6]}), "people": pa.table({"id": [2], "n": ["b"]})}
    told = sandbox.run(code, inputs, variables={"factor": 2, "extra": {"k": [10]}})
    assert told.frame.to_pylist() == [{"id": 2, "v": 6, "n": "b", "f": 20}]


HEAD = "import pandas as pd, numpy as np, datetime as dt, decimal\n"
GIVEN = {
    "series": ("pd.Series([1, 2], name='n')", {"n": [1, 2]}),
    "unnamed series": ("pd.Series([1, 2])", {"value": [1, 2]}),
    "labelled series": ("pd.Series([1, 2], index=['a', 'b'])", {"index": ["a", "b"], "value": [1, 2]}),
    "years": ("pd.Series([1, 2], index=[2020, 2021])", {"index": [2020, 2021], "value": [1, 2]}),
    "index": ("pd.Index(['a', 'b'], name='k')", {"k": ["a", "b"]}),
    "filtered": ("pd.DataFrame({'a': [1, 2, 3]}).query('a > 1')", {"a": [2, 3]}),
    "named index": ("pd.DataFrame({'a': [1]}, index=pd.Index(['x'], name='k'))", {"k": ["x"], "a": [1]}),
    "text index": ("pd.DataFrame({'a': [1]}, index=['x'])", {"index": ["x"], "a": [1]}),
    "two keys": (
        "pd.DataFrame({'k': ['x', 'x'], 'l': [1, 2], 'v': [3, 4]}).groupby(['k', 'l']).sum()",
        {"k": ["x", "x"], "l": [1, 2], "v": [3, 4]},
    ),
    "index named as a column": ("pd.DataFrame({'k': [1]}, index=pd.Index(['x'], name='k'))", {"k": ["x"], "k_1": [1]}),
    "columns of two levels": (
        "pd.DataFrame({'k': ['x', 'x'], 'v': [3.0, 5.0]}).groupby('k').agg({'v': ['mean', 'max']})",
        {"k": ["x"], "v_mean": [4.0], "v_max": [5.0]},
    ),
    "names that are no text": (
        "pd.DataFrame([[1, 2, 3]], columns=[0, None, ''])",
        {"0": [1], "column": [2], "column_1": [3]},
    ),
    "names that repeat": ("pd.DataFrame([[1, 2, 3]], columns=['a', 'a', 'a_1'])", {"a": [1], "a_2": [2], "a_1": [3]}),
    "mixed": ("pd.DataFrame({'m': [1, 'a', None, 2.5, True]})", {"m": ["1", "a", None, "2.5", "true"]}),
    "mixed containers": ("pd.DataFrame({'m': [{'a': 1}, [1, 2], 'x']})", {"m": ['{"a":1}', "[1,2]", "x"]}),
    "dicts": ("pd.DataFrame({'m': [{'a': 1}, {'a': 2}]})", {"m": [{"a": 1}, {"a": 2}]}),
    "odd dicts": ("pd.DataFrame({'m': [{1: 2}, {}]})", {"m": ['{"1":2}', "{}"]}),
    "empty dicts": ("pd.DataFrame({'m': [{}, {}]})", {"m": ["{}", "{}"]}),
    "deep lists": ("pd.DataFrame({'m': [[[[[[1]]]]]]})", {"m": ["[[[[[1]]]]]"]}),
    "sets": ("pd.DataFrame({'m': [{1}, {2}]})", {"m": [[1], [2]]}),
    "large integers": ("pd.DataFrame({'m': [2**70, 1]})", {"m": [str(2**70), "1"]}),
    "date beside time": (
        "pd.DataFrame({'m': pd.Series([dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 5)], dtype=object)})",
        {"m": ["2024-01-01", "2024-01-01T05:00:00"]},
    ),
    "decimals": (
        "pd.DataFrame({'m': [decimal.Decimal('1.5'), decimal.Decimal('22.25')]})",
        {"m": [decimal.Decimal("1.50"), decimal.Decimal("22.25")]},
    ),
    "categories": ("pd.DataFrame({'m': pd.Categorical(['a', None, 'a'])})", {"m": ["a", None, "a"]}),
    "whole categories": ("pd.DataFrame({'m': pd.Categorical([1, None])})", {"m": [1, None]}),
    "bins": ("pd.DataFrame({'m': pd.cut([1, 2], [0, 1, 3])})", {"m": ["(0, 1]", "(1, 3]"]}),
    "periods": ("pd.DataFrame({'m': pd.period_range('2024-01', periods=2, freq='M')})", {"m": ["2024-01", "2024-02"]}),
    "complex": ("pd.DataFrame({'m': [1+2j]})", {"m": ["(1+2j)"]}),
    "sparse": ("pd.DataFrame({'m': pd.arrays.SparseArray([0.0, 1.0])})", {"m": [0.0, 1.0]}),
    "nullable": ("pd.DataFrame({'m': pd.array([1, None], dtype='Int64')})", {"m": [1, None]}),
    "missing": (
        "pd.DataFrame({'m': [1.5, np.nan], 't': [pd.NaT, pd.NaT], 'n': [None, None]})",
        {"m": [1.5, None], "t": [None, None], "n": [None, None]},
    ),
    "spans": ("pd.DataFrame({'m': [pd.Timedelta(seconds=2)]})", {"m": [dt.timedelta(seconds=2)]}),
    "no rows": ("pd.DataFrame({'a': pd.Series([], dtype='int64')})", {"a": []}),
    "no columns": ("pd.DataFrame()", {}),
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_frame_reads_as_it_would_be_printed(name: str, sandbox: Sandbox) -> None:
    expression, expected = GIVEN[name]
    assert sandbox.run(f"{HEAD}result = {expression}").frame.to_pydict() == expected


OTHERS = {
    "arrow table": (
        "import pyarrow as pa\nresult = pa.table({'a': pa.array(['x']).dictionary_encode()})",
        {"a": ["x"]},
    ),
    "arrow batch": ("import pyarrow as pa\nresult = pa.record_batch({'a': [1]})", {"a": [1]}),
    "arrow array": ("import pyarrow as pa\nresult = pa.array([1, None])", {"value": [1, None]}),
    "arrow view and map": (
        "import pyarrow as pa\nresult = pa.table({'v': pa.array(['x'], pa.string_view()), 'm': pa.array([[('k', 1)]], pa.map_(pa.string(), pa.int8()))})",
        {"v": ["x"], "m": ['[{"key":"k","value":1}]']},
    ),
    "polars": (
        "import polars as pl\nresult = pl.DataFrame({'a': ['x'], 'c': pl.Series(['y'], dtype=pl.Categorical)})",
        {"a": ["x"], "c": ["y"]},
    ),
    "polars series": ("import polars as pl\nresult = pl.Series('s', [1, 2])", {"s": [1, 2]}),
    "relation": ("import duckdb\nresult = duckdb.sql('select 42 as n')", {"n": [42]}),
    "relation over a frame": ("import duckdb\nresult = duckdb.sql('select sum(a) as s from df')", {"s": [6]}),
    "inside a function": (
        "import duckdb\ndef f(frame):\n    local = frame[frame.a > 1]\n    return duckdb.sql('select count(*) as n from local').df()\nresult = f(df)",
        {"n": [2]},
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_frames_of_other_libraries(name: str, sandbox: Sandbox) -> None:
    code, expected = OTHERS[name]
    assert sandbox.run(code, {"df": pa.table({"a": [1, 2, 3]})}).frame.to_pydict() == expected


def test_a_frame_is_cut_to_just_more_than_may_leave(sandbox: Sandbox) -> None:
    code = "import pandas as pd\nresult = pd.DataFrame({'a': range(5000), 't': 'x' * 100})"
    assert sandbox.run(code, rows=10).frame.num_rows == 11
    frame = sandbox.run(code, bytes=100_000).frame
    assert 100_000 < frame.nbytes < 105_000


def test_one_row_that_is_too_large_is_refused(sandbox: Sandbox) -> None:
    told = sandbox.run("import pandas as pd\nresult = pd.DataFrame({'a': ['x' * 9_000_000]})", bytes=1_000_000)
    assert told.whole.code == "python.result"


def test_numbers_of_a_large_frame_come_back_exactly(sandbox: Sandbox) -> None:
    table = pa.table(
        {
            f"c{i}": [struct.unpack("d", struct.pack("Q", 4607182418800017408 + i * n))[0] for n in range(5000)]
            for i in range(4)
        }
    )
    assert sandbox.run("result = df", {"df": table}).frame.equals(table)
