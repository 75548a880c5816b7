"""What `result` may be, and how it reads; run in a real sandbox."""

import pytest

from tests.support.sandboxes import Sandbox

HEAD = """
import datetime as dt, decimal, enum, fractions, uuid, collections, dataclasses
import numpy as np
import pandas as pd
"""

VALUES = {
    "text": ("'ä\\n'", "ä\n"),
    "true": ("True", True),
    "number": ("3", 3),
    "float": ("1.5", 1.5),
    "nan": ("float('nan')", "NaN"),
    "infinities": ("[float('inf'), -np.inf]", ["Infinity", "-Infinity"]),
    "exact": ("[2**53, -2**53, 2**53 + 1, -10**20]", [2**53, -(2**53), "9007199254740993", "-100000000000000000000"]),
    "numpy scalars": (
        "[np.int64(5), np.float32(0.5), np.bool_(True), np.str_('s'), np.uint64(2**63)]",
        [5, 0.5, True, "s", str(2**63)],
    ),
    "numpy nan": ("np.float64('nan')", "NaN"),
    "array": ("np.array([[1, 2], [3, 4]])", [[1, 2], [3, 4]]),
    "array of times": ("np.array(['2024-01-02T03:04:05'], dtype='datetime64[s]')", ["2024-01-02T03:04:05"]),
    "scalar time": ("np.datetime64('2024-01-02')", "2024-01-02T00:00:00"),
    "scalar span": ("[np.timedelta64(90, 's'), np.timedelta64('NaT')]", ["PT90S", None]),
    "none inside": ("[None, pd.NA, pd.NaT]", [None, None, None]),
    "decimal": ("decimal.Decimal('1.50')", "1.50"),
    "large decimal": ("decimal.Decimal('1E+9')", "1000000000"),
    "stamps": (
        "[dt.datetime(2024, 1, 2, 3, 4, 5), dt.datetime(2024, 1, 2, 3, 4, 5, 120000), pd.Timestamp('2024-01-02', tz='Europe/Vienna')]",
        ["2024-01-02T03:04:05", "2024-01-02T03:04:05.12", "2024-01-01T23:00:00Z"],
    ),
    "nanoseconds": ("pd.Timestamp('2024-01-02 03:04:05.123456789')", "2024-01-02T03:04:05.123456789"),
    "date and time": (
        "[dt.date(2024, 1, 2), dt.time(3, 4), dt.time(3, 4, 5, 100000)]",
        ["2024-01-02", "03:04:00", "03:04:05.1"],
    ),
    "spans": ("[dt.timedelta(days=1, microseconds=5), pd.Timedelta(seconds=-1.5)]", ["PT86400.000005S", "PT-1.5S"]),
    "bytes": ("b'\\x00\\xff'", "AP8="),
    "tuple, set, deque, range": (
        "[(1, 2), {3, 1, 2}, collections.deque([1]), range(3)]",
        [[1, 2], [1, 2, 3], [1], [0, 1, 2]],
    ),
    "mixed set": ("{'b', 1, 'a'}", [1, "a", "b"]),
    "keys": (
        "{1: 'a', 2.5: 'b', True and 'x': 'c', None: 'd', ('n', 2024): 'e', dt.date(2024, 1, 1): 'f'}",
        {"1": "a", "2.5": "b", "x": "c", "null": "d", "n, 2024": "e", "2024-01-01": "f"},
    ),
    "counter and defaultdict": (
        "[collections.Counter('aab'), collections.defaultdict(int, x=1)]",
        [{"a": 2, "b": 1}, {"x": 1}],
    ),
    "texts of things": (
        "[1+2j, fractions.Fraction(1, 3), uuid.UUID(int=1), pd.Period('2024-01'), pd.Interval(0, 1), np.dtype('int64')]",
        ["(1+2j)", "1/3", "00000000-0000-0000-0000-000000000001", "2024-01", "(0, 1]", "int64"],
    ),
    "named tuple": ("collections.namedtuple('P', 'x y')(1, 2)", {"x": 1, "y": 2}),
    "categories": ("pd.Categorical(['a', 'b', None])", ["a", "b", None]),
    "frame inside": (
        "{'rows': pd.DataFrame({'k': ['a', None], 'v': [1.5, None], 'd': pd.to_datetime(['2024-01-01', None])}), 'n': 1}",
        {"rows": [{"k": "a", "v": 1.5, "d": "2024-01-01T00:00:00"}, {"k": None, "v": None, "d": None}], "n": 1},
    ),
    "series inside": (
        "[pd.Series([1, 2], index=['x', 'y'], name='n')]",
        [[{"index": "x", "n": 1}, {"index": "y", "n": 2}]],
    ),
    "half of a pair": ("'a\\ud800b'", "a?b"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_reads_as_the_format_says(name: str, sandbox: Sandbox) -> None:
    expression, expected = VALUES[name]
    assert sandbox.run(f"{HEAD}result = {expression}").value == expected


def test_dataclasses_and_enums(sandbox: Sandbox) -> None:
    code = (
        HEAD
        + "@dataclasses.dataclass\nclass P:\n    x: int\n    y: list\nclass C(enum.Enum):\n    RED = 'r'\nresult = [P(1, [C.RED])]"
    )
    assert sandbox.run(code).value == [{"x": 1, "y": ["r"]}]


REFUSED = {
    "function": ("result = {'x': [1, 2, 3, len]}", "result['x'][3] is a builtin_function_or_method"),
    "lambda": ("result = [lambda: 1]", "result[0] is a function"),
    "module": ("import math\nresult = math", "result is a module"),
    "generator": (
        "result = (i for i in range(3))",
        "result is a generator, which cannot be given back: make a list of it.",
    ),
    "class": ("result = int", "result is a type"),
    "own object": ("class Thing:\n    pass\nresult = {'a': {'b': Thing()}}", "result['a']['b'] is a __main__.Thing"),
    "group": ("result = df.groupby('k')", "aggregate it"),
    "lazy frame": ("import polars as pl\nresult = pl.LazyFrame({'a': [1]})", "call .collect() first"),
    "open file": ("import io\nresult = io.StringIO('x')", "result is a _io.StringIO"),
    "cycle": ("result = [1]\nresult.append(result)", "result[1] contains itself"),
    "depth": ("result = 1\nfor _ in range(100):\n    result = [result]", "is nested deeper than 24"),
    "too many": ("result = [0] * 3_000_000", "holds too many values"),
    "too long": ("result = 'x' * 20_000_000", "is larger than"),
    "keys that read the same": ("result = {1: 'a', '1': 'b'}", "has two keys that read the same"),
    "odd key": ("result = {frozenset([1]): 2}", "has a key of type frozenset"),
    "inside a column": (
        "import pandas as pd\nresult = pd.DataFrame({'f': [1, len]})",
        "result['f'][1] is a builtin_function_or_method",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_given_back_is_named_by_place_and_type(name: str, sandbox: Sandbox) -> None:
    import pyarrow as pa

    code, words = REFUSED[name]
    told = sandbox.run(code + "\nprint('printed')", {"df": pa.table({"k": ["a"]})})
    assert told.whole.code == "python.result"
    assert told.whole.error is not None
    assert words in told.whole.error.message
    assert told.printed.stdout == "printed\n"


def test_no_value_is_named_not_even_as_a_key(sandbox: Sandbox) -> None:
    code = "name = ''.join(['Jane', ' ', 'Doe'])\nresult = {name: {'known': len}}"
    told = sandbox.run(code)
    assert told.whole.error is not None
    assert told.whole.error.message.startswith("result[key 1]['known'] is a builtin_function_or_method")


def test_an_object_that_fights_back_is_refused_in_words(sandbox: Sandbox) -> None:
    code = """
class Evil(dict):
    def items(self):
        raise KeyError('4111 1111 1111 1111')
result = Evil(a=1)
"""
    told = sandbox.run(code)
    assert told.whole.code == "python.result"
    assert told.whole.error is not None
    assert "KeyError" in told.whole.error.message
    assert "4111" not in told.whole.error.message


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("x = 2\nx + 1", 3),
        ("{'a': 1}", {"a": 1}),
        ("(\n  1 +\n  2\n)  # why\n", 3),
        ("a = 1; 'ä' + str(a)", "ä1"),
        ("# c\r\n'ü'.upper() \\\r\n  .lower()\r\n", "ü"),
        ("if True:\n    result = 5\n7", 5),
        ("\ufeffif True:\r\n\tx = 1\r\nx + 1\r\n", 2),
        ("[len]", None),
        ("print('x')", None),
        ("'a docstring'", None),
        ("result = None\n5", None),
        ("import sys\nresult = 4\nsys.exit()", 4),
    ],
)
def test_a_last_expression_is_the_result_where_none_is_set(code: str, value: object, sandbox: Sandbox) -> None:
    answer = sandbox.run(code).whole
    assert (answer.code, answer.value) == ("ok", value)
    assert answer.result == ("none" if value is None else "json")
