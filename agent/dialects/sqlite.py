"""SQLite: what its SELECT may use, and how its masks are written."""

from collections.abc import Sequence
from typing import ClassVar, Final

from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite

from agent.dialects.base import Dialect, words


class StrictSQLite(SQLite):
    """SQLite written with back-ticks: it reads an unknown "name" as the text 'name', a `name` as an error."""

    class Tokenizer(SQLite.Tokenizer):
        """The first quote of the list is the one that is written."""

        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`", '"', ("[", "]")]


def _not_indexed(table: exp.Table, _: Sequence[str]) -> None:
    """By none of its indexes: SQLite cannot leave out some."""
    table.set("indexed", False)


_SCALAR = """abs acos acosh asin asinh atan atan2 atanh ceil ceiling char coalesce concat concat_ws cos cosh date
datetime degrees exp floor format hex ifnull iif instr julianday length like ln log log10 log2 lower ltrim max min
nullif pi pow power printf quote radians random replace round rtrim sign sin sinh soundex sqrt strftime substr substring
tan tanh time trim trunc typeof unhex unicode unixepoch upper glob timediff octet_length likely unlikely"""

_AGGREGATE = "avg count group_concat string_agg max min sum total"

_WINDOW = "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value"

_JSON = """json json_array json_array_length json_extract json_object json_patch json_quote json_remove json_replace
json_set json_insert json_type json_valid json_group_array json_group_object"""

_LEAST = "CASE WHEN LENGTH(c) >= :least THEN {shown} WHEN c IS NULL THEN NULL ELSE '***' END"
_BANDS = "CAST(c / CAST(:width AS REAL) AS INTEGER)"

SQLITE: Final = Dialect(
    name="sqlite",
    grammar=StrictSQLite,
    case="insensitive",
    default_schema="main",
    parameter=":",
    functions=words(f"{_SCALAR} {_AGGREGATE} {_WINDOW} {_JSON}"),
    bare_functions=words("current_date current_time current_timestamp"),
    table_functions=words("json_each json_tree"),
    casts=words("""BIGINT BOOLEAN CHAR DATE DECIMAL DOUBLE FLOAT INT REAL SMALLINT TEXT TIMESTAMP VARCHAR"""),
    nodes={
        exp.Glob: words("this expression"),
        exp.Collate: words("this expression"),
        exp.HexString: words("this is_integer"),
        exp.Is: words("this expression"),
    },
    masks={
        "redact_text": "'***'",
        "null": "NULL",
        "untyped_null": "NULL",
        "constant": ":value",
        "partial_last": _LEAST.format(shown="'***' || SUBSTR(c, 0 - :keep)"),
        "partial": _LEAST.format(shown="SUBSTR(c, 1, :first) || '***' || SUBSTR(c, LENGTH(c) - :last + 1)"),
        "email": (
            "CASE WHEN INSTR(c, '@') > 0 THEN '***@' || SUBSTR(c, LENGTH(RTRIM(c, REPLACE(c, '@', ''))) + 1)"
            " WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        "year_date": "STRFTIME('%Y-01-01', c)",
        "year_timestamp": "STRFTIME('%Y-01-01 00:00:00', c)",
        "month_date": "STRFTIME('%Y-%m-01', c)",
        "month_timestamp": "STRFTIME('%Y-%m-01 00:00:00', c)",
        "bucket": f"({_BANDS} - (c / CAST(:width AS REAL) < {_BANDS})) * :width",
        "round": "ROUND(c, :digits)",
        "round_to": "ROUND(c / CAST(:unit AS REAL)) * :unit",
        "token": "MERIDYEN_{domain}(CAST(c AS BLOB))",  # a text that is not UTF-8 would raise as text
    },
    text_type="TEXT",
    derived_columns=False,
    order_keys=('c COLLATE "BINARY"', "TYPEOF(c)"),  # 1 and 1.0 are the same
    without_indexes=_not_indexed,
    names_by_text=True,
    early_ctes=True,
    hidden_columns=words("rowid oid _rowid_"),
    misread=words("mod"),  # sqlglot writes it as %, which cuts its operands to integers
)
