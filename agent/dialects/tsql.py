"""T-SQL (SQL Server, Azure SQL): what its SELECT may use, and how its masks are written."""

import re
from typing import Final

from sqlglot import exp
from sqlglot.dialects import tsql

from agent.dialects.base import Dialect, words

_CONDITIONAL = "coalesce isnull nullif iif choose greatest least"

_NUMERIC = """abs acos asin atan atn2 ceiling cos cot degrees exp floor log log10 pi power radians rand round sign sin
sqrt square tan isnumeric checksum binary_checksum"""

_TEXT = """ascii char charindex concat concat_ws datalength difference format hashbytes left len lower ltrim nchar
newid patindex quotename replace replicate reverse right rtrim soundex space str string_escape stuff substring
translate trim unicode upper"""

_TEMPORAL = """dateadd datediff datediff_big datefromparts datepart datetime2fromparts
datetimefromparts datetimeoffsetfromparts datetrunc day eomonth getdate getutcdate isdate month
smalldatetimefromparts switchoffset sysdatetime sysdatetimeoffset sysutcdatetime timefromparts todatetimeoffset
year"""

_JSON = "isjson json_modify json_query json_value"

_AGGREGATE = """approx_count_distinct avg checksum_agg count count_big grouping grouping_id max min percentile_cont
percentile_disc stdev stdevp string_agg sum var varp"""

_WINDOW = "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value"

_CONVERSION = "convert try_convert"

_AS_FLOAT = "CAST(c AS FLOAT)"
_TAMED = "CASE WHEN ABS({0}) < 1E150 THEN {1} END"  # a float that overflows raises; CASE looks at its parts in turn
_TEXT_OF = "CAST(c AS NVARCHAR(MAX))"  # TEXT columns know neither LEN nor RIGHT
_LEAST = f"CASE WHEN LEN({_TEXT_OF}) >= :least THEN {{shown}} WHEN c IS NULL THEN NULL ELSE '***' END"
_FROM_END = f"CHARINDEX('@', REVERSE({_TEXT_OF}))"
_YEAR, _MONTH = "DATEFROMPARTS(YEAR(c), 1, 1)", "DATEFROMPARTS(YEAR(c), MONTH(c), 1)"

TSQL: Final = Dialect(
    name="tsql",
    grammar=tsql.TSQL,
    case="insensitive",
    default_schema="dbo",
    system_schemas=words("sys information_schema"),
    parameter=":",
    inline_parameters=True,
    functions=words(f"{_CONDITIONAL} {_NUMERIC} {_TEXT} {_TEMPORAL} {_JSON} {_AGGREGATE} {_WINDOW} {_CONVERSION}"),
    bare_functions=words("current_timestamp"),
    table_functions=words("string_split generate_series"),
    casts=words(
        """BIGINT BIT BOOLEAN CHAR DATE DATETIME DATETIME2 DECIMAL DOUBLE FLOAT INT MONEY NCHAR NVARCHAR REAL
        SMALLDATETIME SMALLINT SMALLMONEY TEXT TIME TIMESTAMP TIMESTAMPTZ TINYINT UTINYINT UUID VARBINARY BINARY
        VARCHAR"""
    ),
    nodes={
        exp.National: words("this"),
        exp.HexString: words("this"),
        exp.Lateral: words("cross_apply"),
        exp.Collate: words("this expression"),
        exp.Pivot: words(
            """this alias expressions fields unpivot columns include_nulls default_on_null
            identify_pivot_strings prefixed_pivot_columns pivot_column_naming value_columns_first"""
        ),
        exp.TimeToStr: words("this format culture"),
        exp.NumberToStr: words("this format culture"),
        exp.SHA2: words("this length"),
        exp.MD5: words("this"),
        exp.SHA: words("this"),
        exp.LimitOptions: words("percent rows with_ties"),
    },
    masks={
        "redact_text": "'***'",
        "null": "CAST(NULL AS {type})",
        "untyped_null": "NULL",
        "constant": ":value",
        "partial_last": _LEAST.format(shown=f"'***' + RIGHT({_TEXT_OF}, :keep)"),
        "partial": _LEAST.format(shown=f"LEFT({_TEXT_OF}, :first) + '***' + RIGHT({_TEXT_OF}, :last)"),
        "email": (
            f"CASE WHEN {_FROM_END} > 0 THEN '***@' + RIGHT({_TEXT_OF}, {_FROM_END} - 1)"
            " WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        "year_date": _YEAR,
        "year_timestamp": f"TRY_CAST({_YEAR} AS {{type}})",
        "month_date": _MONTH,
        "month_timestamp": f"TRY_CAST({_MONTH} AS {{type}})",
        "bucket": "TRY_CAST({} AS {{type}})".format(_TAMED.format(_AS_FLOAT, f"FLOOR({_AS_FLOAT} / :width) * :width")),
        "round": "TRY_CAST({} AS {{type}})".format(_TAMED.format(_AS_FLOAT, f"ROUND({_AS_FLOAT}, :digits)")),
        "round_to": "TRY_CAST({} AS {{type}})".format(
            _TAMED.format(_AS_FLOAT, f"ROUND({_AS_FLOAT} / :unit, 0) * :unit")
        ),
    },
    text_type="NVARCHAR(MAX)",
    batch_end=re.compile(r"^[ \t]*GO[ \t]*;?[ \t\r]*$", re.IGNORECASE | re.MULTILINE),
    early_ctes=True,  # there is no RECURSIVE; a CTE that is read before it is written fails in the engine
    plain=words("approx_count_distinct eomonth square sysdatetime"),
    misread=words("datename"),  # sqlglot writes FORMAT, which knows no quarters and no weeks
    keywords=words(
        """MAX APPLY YY YYYY QQ Q MM M DY Y DD D WK WW DW W HH MI N SS S MS MCS NS ISO_WEEK ISOWK ISOWW WEEKISO TZ
        TZOFFSET"""
    ),
    openers=words("top apply nvarchar nchar varbinary binary datetime2 datetimeoffset"),
    hidden_columns=words(
        """current_user session_user system_user user current_date current_time current_transaction_id
        $identity $rowguid $action $partition $cuid $node_id $edge_id $from_id $to_id %%physloc%% %%lockres%%"""
    ),
)
