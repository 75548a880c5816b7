"""Oracle: what its SELECT may use, and how its masks are written."""

from typing import Final

from sqlglot import exp
from sqlglot.dialects.oracle import Oracle
from sqlglot.tokenizer_core import Token, TokenType

from agent.core.catalog import Column, Relation
from agent.dialects.base import Dialect, words

_CONDITIONAL = "coalesce nvl nvl2 nullif decode greatest least lnnvl nanvl"

_NUMERIC = """abs acos asin atan atan2 bitand ceil cos cosh exp floor ln log mod power remainder round sign sin sinh
sqrt tan tanh trunc width_bucket ora_hash"""

_TEXT = """ascii chr concat initcap instr instrb length lengthb lower lpad ltrim nchr regexp_count regexp_instr
regexp_like regexp_replace regexp_substr replace reverse rpad rtrim soundex substr substrb to_char to_clob to_nchar
translate trim upper unistr asciistr compose decompose nls_upper nls_lower nls_initcap standard_hash rawtohex hextoraw
vsize dump"""

_TEMPORAL = """add_months extract from_tz last_day months_between new_time next_day numtodsinterval numtoyminterval
sys_extract_utc to_date to_dsinterval to_timestamp to_timestamp_tz to_yminterval tz_offset"""

_CONVERSION = "to_number to_binary_double to_binary_float"

_JSON = "json_value json_query json_object json_array json_arrayagg json_objectagg json_exists"

_AGGREGATE = """any_value approx_count_distinct approx_median approx_percentile avg corr corr_k corr_s count covar_pop
covar_samp group_id grouping grouping_id kurtosis_pop kurtosis_samp listagg max median min percentile_cont
percentile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
skewness_pop skewness_samp stats_mode stddev stddev_pop stddev_samp sum var_pop var_samp variance bit_and_agg
bit_or_agg bit_xor_agg checksum"""

_WINDOW = """row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
ratio_to_report"""

_HIERARCHY = "sys_connect_by_path"

_LEAST = "CASE WHEN LENGTH(c) >= :least THEN {shown} WHEN c IS NULL THEN NULL ELSE '***' END"

_RESPELLED = {"EXCEPT": "MINUS"}


def _respell(text: str, tokens: list[Token]) -> str:
    """The generator writes MINUS as other engines do, and AS before an alias of a table."""
    pieces: list[str] = []
    end = 0
    for place, token in enumerate(tokens):
        word = "" if text[token.start] in {'"', "'"} else token.text.upper()
        spelled = _RESPELLED.get(word)
        if place > 1 and token.text == "DENSE_RANK" and tokens[place - 2].text == "KEEP":
            spelled = token.text
        if word == "AS" and 0 < place < len(tokens) - 1:
            before, after = tokens[place - 1], tokens[place + 1]
            if before.token_type is TokenType.R_PAREN and text[after.start] == '"':
                spelled = ""
        if spelled is not None:
            pieces += [text[end : token.start], spelled]
            end = token.end + (1 if spelled else 2)
    return "".join([*pieces, text[end:]])


def _separated(node: exp.Expression) -> exp.Expression:
    """LISTAGG(x) puts nothing between: the grammar would write a comma."""
    if not node.args.get("separator"):
        node.set("separator", exp.Literal.string(""))
    return node


ORACLE: Final = Dialect(
    name="oracle",
    grammar=Oracle,
    case="upper",
    default_schema="APP",
    parameter=":",
    functions=words(
        f"{_CONDITIONAL} {_NUMERIC} {_TEXT} {_TEMPORAL} {_CONVERSION} {_JSON} {_AGGREGATE} {_WINDOW} {_HIERARCHY}"
    ),
    plain=words("approx_count_distinct var_pop var_samp"),
    translated={exp.GroupConcat: _separated},
    bare_functions=words("sysdate systimestamp current_date current_timestamp localtimestamp"),
    table_functions=frozenset(),
    casts=words(
        """VARCHAR NVARCHAR CHAR NCHAR INT SMALLINT BIGINT DECIMAL FLOAT DOUBLE DATE TIMESTAMP TIMESTAMPTZ
        TIMESTAMPLTZ INTERVAL BIGDECIMAL"""
    ),
    nodes={
        exp.Column: words("join_mark"),
        exp.Connect: words("start connect nocycle"),
        exp.ConnectByRoot: words("this"),
        exp.DateStrToDate: words("this"),
        exp.Having: words("this"),
        exp.LimitOptions: words("percent rows with_ties"),
        exp.National: words("this"),
        exp.OverflowTruncateBehavior: words("this with_count"),
        exp.Order: words("siblings"),
        exp.Prior: words("this"),
        exp.Select: words("connect"),
        exp.Pivot: words("this alias expressions fields unpivot columns include_nulls pivot_column_naming"),
        exp.TimeToStr: words("this format"),
        exp.DateTrunc: words("this unit"),
        exp.JSONValue: words("this path"),
        exp.PivotAlias: words("this alias"),
        exp.CurrentTimestamp: words("this sysdate"),
        exp.Systimestamp: frozenset(),
        exp.Window: words("first"),
    },
    keywords=frozenset({"DAY TO SECOND", "YEAR TO MONTH", "KEEP", "DENSE_RANK", "LAST"}),
    openers=words("prior connect siblings start nocycle minus keep percent national number varchar2 nvarchar2 raw by"),
    bare_columns=frozenset({"LEVEL", "ROWNUM", "CONNECT_BY_ISLEAF", "CONNECT_BY_ISCYCLE"}),
    dummies={"DUAL": Relation("SYS", "DUAL", (Column("DUMMY", "VARCHAR2(1)"),))},
    respell=_respell,
    masks={
        "redact_text": "'***'",
        "null": "CAST(NULL AS {type})",
        "untyped_null": "NULL",
        "constant": ":value",
        "partial_last": _LEAST.format(shown="'***' || SUBSTR(c, 0 - :keep)"),
        "partial": _LEAST.format(shown="SUBSTR(c, 1, :first) || '***' || SUBSTR(c, LENGTH(c) - :last + 1)"),
        "email": (
            "CASE WHEN INSTR(c, '@') > 0 THEN '***@' || SUBSTR(c, INSTR(c, '@', -1) + 1)"
            " WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        "year_date": "TRUNC(c, 'YYYY')",
        "year_timestamp": "CAST(TRUNC(c, 'YYYY') AS {type})",
        "month_date": "TRUNC(c, 'MM')",
        "month_timestamp": "CAST(TRUNC(c, 'MM') AS {type})",
        # BINARY_DOUBLE has infinities and NaN where NUMBER would raise.
        "bucket": "FLOOR(TO_BINARY_DOUBLE(c) / :width) * :width",
        "round": "ROUND(TO_BINARY_DOUBLE(c) * POWER(10, :digits)) / POWER(10, :digits)",
        "round_to": "ROUND(TO_BINARY_DOUBLE(c) / :unit) * :unit",
    },
    text_type="VARCHAR2(4000)",
    reads_all=False,
    kinds={"NVARCHAR": "other", "NCHAR": "other", "TEXT": "other"},  # none of them mixes with '***' in one CASE
    derived_columns=False,
    early_ctes=True,
    strings=(exp.National, exp.RawString),
    hidden_columns=words(
        """rowid ora_rowscn user uid sessiontimezone dbtimezone sys_guid versions_starttime versions_endtime
        versions_startscn versions_endscn versions_xid versions_operation column_value object_id object_value xmldata
        nextval currval current_user current_schema session_user ora_invoking_user ora_invoking_userid
        ora_shardspace_name userenv"""
    ),
)
