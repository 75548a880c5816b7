"""MySQL 8 and MariaDB: what their SELECT may use, and how their masks are written.

One dialect for both: a function is listed when one of the two has it, and the other answers that it does not exist (a
session selects a database without routines, so no stored function can stand in for it). Text is written so that both
read it: no REGEXP_LIKE and no ->>, which MariaDB lacks, and no column list behind a derived table's name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlglot import exp
from sqlglot.dialects.mysql import MySQL

from agent.dialects.base import Dialect, words

_CONDITIONAL = """coalesce elt export_set field find_in_set greatest if ifnull interval isnull least make_set nullif nvl
nvl2"""

_NUMERIC = """abs acos asin atan atan2 ceil ceiling conv cos cot crc32 crc32c degrees exp floor ln log log10 log2 mod pi
pow power radians rand round sign sin sqrt tan truncate bit_count"""

_TEXT = """ascii bin bit_length char char_length character_length chr concat concat_ws format from_base64 hex insert
instr lcase left length lengthb locate lower lpad ltrim md5 mid natural_sort_key oct octet_length ord position quote
regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse right rpad rtrim sha sha1 sha2 soundex
space strcmp substr substring substring_index to_base64 trim ucase unhex upper weight_string inet_aton inet_ntoa
inet6_aton inet6_ntoa is_ipv4 is_ipv4_compat is_ipv4_mapped is_ipv6 is_uuid uuid_to_bin bin_to_uuid"""

_TEMPORAL = """add_months adddate addtime convert_tz curdate current_date current_time current_timestamp curtime date
date_add date_format date_sub datediff day dayname dayofmonth dayofweek dayofyear extract from_days from_unixtime hour
last_day localtime localtimestamp makedate maketime microsecond minute month monthname now period_add period_diff
quarter sec_to_time second str_to_date subdate subtime sysdate time time_format time_to_sec timediff timestamp
timestampadd timestampdiff to_char to_days to_seconds unix_timestamp utc_date utc_time utc_timestamp week weekday
weekofyear year yearweek"""

_JSON = """json_array json_array_append json_array_insert json_compact json_contains json_contains_path json_depth
json_detailed json_equals json_exists json_extract json_insert json_keys json_length json_loose json_merge
json_merge_patch json_merge_preserve json_normalize json_object json_overlaps json_pretty json_query json_quote
json_remove json_replace json_search json_set json_type json_unquote json_valid json_value"""

_AGGREGATE = """any_value avg bit_and bit_or bit_xor count group_concat grouping json_arrayagg json_objectagg max
median min percentile_cont percentile_disc std stddev stddev_pop stddev_samp sum var_pop var_samp variance"""

_WINDOW = "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value"

_CASTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(words("TINYINT SMALLINT MEDIUMINT INT BIGINT YEAR"), "SIGNED"),
    **dict.fromkeys(words("UTINYINT USMALLINT UMEDIUMINT UINT UBIGINT BIT"), "UNSIGNED"),
    **dict.fromkeys(words("CHAR NCHAR VARCHAR NVARCHAR TINYTEXT TEXT MEDIUMTEXT LONGTEXT"), "CHAR"),
    **dict.fromkeys(words("BINARY VARBINARY TINYBLOB BLOB MEDIUMBLOB LONGBLOB"), "BINARY"),
    **dict.fromkeys(words("FLOAT DOUBLE UDOUBLE"), "DOUBLE"),
    **dict.fromkeys(words("DECIMAL UDECIMAL"), "DECIMAL({})"),
    **dict.fromkeys(words("DATETIME TIMESTAMP TIMESTAMPTZ"), "DATETIME({})"),
    "TIME": "TIME({})",
    "DATE": "DATE",
}
"""A column's type -> what stands for it in a CAST; `{}` are its own numbers."""


def _cast_as(kind: exp.DataType) -> str | None:
    """The type as it may be written in a CAST; None where nothing can stand for it."""
    numbers = ", ".join(str(part.this) for part in kind.find_all(exp.DataTypeParam))
    written = _CASTS.get(kind.this.name)
    return written if written is None else written.format(numbers).removesuffix("()")


def _matched(node: exp.Expression) -> exp.Expression:
    """`a REGEXP b`, which the grammar writes as a function that only MySQL has."""
    if node.args.get("flag") is not None:
        return node
    return exp.Paren(
        this=exp.GT(this=exp.RegexpInstr(this=node.this, expression=node.expression), expression=exp.Literal.number(0))
    )


def _unquoted(node: exp.Expression) -> exp.Expression:
    """`a ->> b`, an operator that only MySQL has."""
    return exp.Anonymous(this="JSON_UNQUOTE", expressions=[exp.JSONExtract(this=node.this, expression=node.expression)])


def _plain_text(node: exp.Expression) -> exp.Expression:
    """`_utf8mb4'…'`, as view definitions have it: what every text of a session is anyway."""
    unicode_ = str(node.this).lower() in {"_utf8mb4", "_utf8mb3", "_utf8"}
    return node.expression if unicode_ and isinstance(node.expression, exp.Literal) else node


def _plain_cast(node: exp.Expression) -> exp.Expression:
    """`CONVERT(a USING utf8mb4)`: what a cast to text of a session gives anyway."""
    charset = node.args.get("kind")
    if node.this is exp.DataType.Type.CHARACTER_SET and str(charset).lower() in {"utf8mb4", "utf8mb3", "utf8"}:
        return exp.DataType(this=exp.DataType.Type.CHAR, expressions=node.expressions or None, nested=False)
    return node


def _interval_function(node: exp.Expression) -> exp.Expression:
    """`INTERVAL(n, a, b)` is a function, of which the grammar makes a span of time without a unit."""
    if node.args.get("unit") is not None or not isinstance(node.this, exp.Tuple):
        return node
    return exp.Anonymous(this="INTERVAL", expressions=node.this.expressions)


def _no_table(node: exp.Expression) -> exp.Expression | None:
    """`FROM DUAL` names no table."""
    table = node.this
    if not isinstance(table, exp.Table) or set(filter(table.args.get, table.args)) != {"this"}:
        return node
    name = table.this
    named = isinstance(name, exp.Identifier) and not name.args.get("quoted") and str(name.this).lower() == "dual"
    return None if named else node


def _ignoring(table: exp.Table, indexes: Sequence[str]) -> None:
    named = [exp.to_identifier(name, quoted=True) for name in indexes]
    table.set("hints", [exp.IndexTableHint(this="IGNORE", expressions=named)])


_TRANSLATED: Final[Mapping[type[exp.Expression], Callable[[exp.Expression], exp.Expression | None]]] = {
    exp.RegexpLike: _matched,
    exp.JSONExtractScalar: _unquoted,
    exp.Introducer: _plain_text,
    exp.DataType: _plain_cast,
    exp.From: _no_table,
    exp.Interval: _interval_function,
}

_LONGEST_NAME: Final = 255
_BASIC_PLANE: Final = 0xFFFF


def _output_name(text: str) -> str:
    """A text as the server takes it for a name: not too long, and without characters that its names cannot hold."""
    plain = "".join("?" if ord(character) > _BASIC_PLANE else character for character in text)
    return plain[:_LONGEST_NAME].rstrip()


_NEARBY = "ABS(CAST(c AS DOUBLE)) < 1e150"
"""Beyond it, a product could leave the range of a double, which is an error."""

MYSQL: Final = Dialect(
    name="mysql",
    grammar=MySQL,
    case="insensitive",
    default_schema="main",
    parameter=":",
    inline_parameters=True,
    functions=words(f"{_CONDITIONAL} {_NUMERIC} {_TEXT} {_TEMPORAL} {_JSON} {_AGGREGATE} {_WINDOW}"),
    bare_functions=words("current_date current_time current_timestamp localtime localtimestamp"),
    table_functions=frozenset(),
    casts=words(
        """BIGINT BINARY BOOLEAN CHAR DATE DATETIME DECIMAL DOUBLE FLOAT INT JSON SMALLINT TEXT TIME TIMESTAMP
        TIMESTAMPTZ TINYINT UBIGINT UINT USMALLINT UTINYINT VARCHAR"""
    ),
    nodes={
        exp.Collate: words("this expression"),
        exp.IntDiv: words("this expression"),
    },
    keywords=words(
        """SECOND_MICROSECOND MINUTE_MICROSECOND MINUTE_SECOND HOUR_MICROSECOND HOUR_SECOND HOUR_MINUTE DAY_MICROSECOND
        DAY_SECOND DAY_MINUTE DAY_HOUR YEAR_MONTH"""
    ),
    openers=words("div xor binary datetime signed unsigned"),
    # The grammar writes these as something that another version lacks, or that is not quite the same.
    plain=words(
        """chr json_value log10 log2 median monthname regexp_instr regexp_replace regexp_substr to_char to_days utc_date
        utc_time"""
    ),
    translated=_TRANSLATED,
    cast_as=_cast_as,
    masks={
        "redact_text": "'***'",
        "null": "CAST(NULL AS {type})",
        "untyped_null": "NULL",
        "constant": ":value",
        "partial_last": "CASE WHEN CHAR_LENGTH(c) < :least THEN '***' ELSE CONCAT('***', RIGHT(c, :keep)) END",
        "partial": (
            "CASE WHEN CHAR_LENGTH(c) >= :least THEN CONCAT(LEFT(c, :first), '***', RIGHT(c, :last))"
            " WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        # Collations find more than one character where they are asked for an @; SUBSTRING_INDEX compares bytes.
        "email": (
            "CASE WHEN CHAR_LENGTH(SUBSTRING_INDEX(c, '@', -1)) < CHAR_LENGTH(c)"
            " THEN CONCAT('***@', SUBSTRING_INDEX(c, '@', -1)) WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        "year_date": "CAST(DATE_FORMAT(c, '%Y-01-01') AS DATE)",
        "year_timestamp": "CAST(DATE_FORMAT(c, '%Y-01-01') AS {type})",
        "month_date": "CAST(DATE_FORMAT(c, '%Y-%m-01') AS DATE)",
        "month_timestamp": "CAST(DATE_FORMAT(c, '%Y-%m-01') AS {type})",
        "bucket": (
            f"CASE WHEN {_NEARBY} AND :width > 1e-150"
            " THEN CAST(FLOOR(CAST(c AS DOUBLE) / :width) * :width AS {type}) END"
        ),
        "round": "CAST(ROUND(CAST(c AS DOUBLE), :digits) AS {type})",
        "round_to": f"CASE WHEN {_NEARBY} THEN CAST(ROUND(CAST(c AS DOUBLE) / :unit) * :unit AS {{type}}) END",
        "token": (
            "CONCAT('tok_', LEFT(SHA2(CONCAT(@meridyen_{domain}_o,"
            " UNHEX(SHA2(CONCAT(@meridyen_{domain}_i, CAST(CAST(c AS CHAR) AS BINARY)), 256))), 256), 32))"
        ),
    },
    text_type="CHAR",
    strings=(exp.National,),
    derived_columns=False,
    without_indexes=_ignoring,
    # Collations take texts that differ for the same, and a sort reads no more of a text than max_sort_length.
    order_keys=("c", "SHA2(c, 256)"),
    mask_functions=words("index"),  # IGNORE INDEX (…)
    names_by_text=True,
    output_name=_output_name,
)
