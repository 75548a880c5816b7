"""BigQuery (GoogleSQL): what its SELECT may use, and how its masks are written."""

from typing import Final

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery

from agent.dialects.base import Dialect, words

_CONDITIONAL = "coalesce ifnull nullif if greatest least"

_NUMERIC = """abs acos acosh asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot coth csc csch div exp
floor ieee_divide is_inf is_nan ln log log10 mod pow power rand range_bucket round safe_add safe_divide safe_multiply
safe_negate safe_subtract sec sech sign sin sinh sqrt tan tanh trunc"""

_TEXT = """ascii byte_length char_length character_length chr code_points_to_bytes code_points_to_string
concat contains_substr edit_distance ends_with farm_fingerprint format from_base32 from_base64 from_hex
generate_uuid initcap instr left length lower lpad ltrim md5 normalize normalize_and_casefold octet_length
regexp_contains regexp_extract regexp_extract_all regexp_instr regexp_replace regexp_substr repeat replace reverse right
rpad rtrim safe_convert_bytes_to_string sha1 sha256 sha512 soundex split starts_with strpos substr substring to_base32
to_base64 to_code_points to_hex translate trim unicode upper"""

_TEMPORAL = """current_date current_datetime current_time current_timestamp date date_add date_bucket date_diff
date_from_unix_date date_sub date_trunc datetime datetime_add datetime_bucket datetime_diff datetime_sub
datetime_trunc extract format_date format_datetime format_time format_timestamp generate_date_array
generate_timestamp_array justify_days justify_hours justify_interval last_day make_interval parse_date parse_datetime
parse_time parse_timestamp string time time_add time_diff time_sub time_trunc timestamp timestamp_add timestamp_bucket
timestamp_diff timestamp_micros timestamp_millis timestamp_seconds timestamp_sub timestamp_trunc unix_date
unix_micros unix_millis unix_seconds"""

_NESTED = """array array_concat array_concat_agg array_first array_last array_length array_reverse array_slice
array_to_string generate_array struct unnest offset ordinal safe_offset safe_ordinal"""

_JSON = """bool float64 int64 json_array json_extract json_extract_array json_extract_scalar json_extract_string_array
json_keys json_object json_query json_query_array json_remove json_set json_strip_nulls json_type json_value
json_value_array lax_bool lax_float64 lax_int64 lax_string parse_json to_json to_json_string"""

_AGGREGATE = """any_value approx_count_distinct approx_quantiles approx_top_count approx_top_sum array_agg avg bit_and
bit_or bit_xor corr count countif covar_pop covar_samp grouping logical_and logical_or max max_by min min_by
percentile_cont percentile_disc stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance"""

_WINDOW = "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value"

_CONVERSION = "parse_numeric parse_bignumeric"

_AS_FLOAT = "CAST(c AS FLOAT64)"
_TAMED = "SAFE_CAST(CASE WHEN ABS({0}) < 1E150 THEN {1} END AS {{type}})"
_LEAST = "CASE WHEN LENGTH(c) >= :least THEN {shown} WHEN c IS NULL THEN NULL ELSE '***' END"
_YEAR, _MONTH = "DATE_TRUNC({}, YEAR)", "DATE_TRUNC({}, MONTH)"
_DAY = "EXTRACT(DATE FROM c)"

_CASTS = words(
    """ARRAY BIGDECIMAL BIGINT BOOLEAN BINARY VARBINARY DATE DATETIME DECIMAL DOUBLE FLOAT INT INTERVAL JSON STRUCT TEXT
    TIME TIMESTAMP TIMESTAMPTZ VARCHAR"""
)


def _cast_as(kind: exp.DataType) -> str | None:
    """The type as sqlglot writes it in a CAST: without lengths."""
    if any(part.this.name not in _CASTS for part in kind.find_all(exp.DataType)):
        return None
    cast = exp.Cast(this=exp.Null(), to=kind.copy()).sql(dialect=BigQuery)
    return cast.removeprefix("CAST(NULL AS ").removesuffix(")")


BIGQUERY: Final = Dialect(
    name="bigquery",
    grammar=BigQuery,
    case="insensitive",
    default_schema="dataset",
    parameter=":",
    inline_parameters=True,
    functions=words(
        f"{_CONDITIONAL} {_NUMERIC} {_TEXT} {_TEMPORAL} {_NESTED} {_JSON} {_AGGREGATE} {_WINDOW} {_CONVERSION}"
    ),
    bare_functions=words("current_date current_datetime current_time current_timestamp"),
    table_functions=words("unnest"),
    casts=_CASTS,
    nodes={
        exp.Select: words("kind"),
        exp.Unnest: words("expressions alias offset explode_array"),
        exp.Pivot: words(
            """this alias expressions fields unpivot columns include_nulls default_on_null
            identify_pivot_strings prefixed_pivot_columns pivot_column_naming value_columns_first"""
        ),
        exp.WeekStart: words("this"),
        exp.MD5: words("this"),
        exp.SHA2: words("this length"),
        exp.SHA: words("this"),
        exp.PivotAlias: words("this alias"),
        exp.PropertyEQ: words("this expression"),
        exp.IntDiv: words("this expression"),
        exp.Qualify: words("this"),
        exp.HavingMax: words("this expression max"),
        exp.HexString: words("this is_integer"),
        exp.TableSample: words("expressions method percent rows size seed"),
    },
    masks={
        "redact_text": "'***'",
        "null": "CAST(NULL AS {type})",
        "untyped_null": "NULL",
        "constant": ":value",
        "partial_last": _LEAST.format(shown="'***' || RIGHT(c, :keep)"),
        "partial": _LEAST.format(shown="LEFT(c, :first) || '***' || RIGHT(c, :last)"),
        "email": (
            "CASE WHEN STRPOS(c, '@') > 0 THEN '***@' || RIGHT(c, STRPOS(REVERSE(c), '@') - 1)"
            " WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        "year_date": _YEAR.format("c"),
        "year_timestamp": f"SAFE_CAST({_YEAR.format(_DAY)} AS {{type}})",
        "month_date": _MONTH.format("c"),
        "month_timestamp": f"SAFE_CAST({_MONTH.format(_DAY)} AS {{type}})",
        "bucket": _TAMED.format(_AS_FLOAT, f"FLOOR({_AS_FLOAT} / :width) * :width"),
        "round": _TAMED.format(_AS_FLOAT, f"ROUND({_AS_FLOAT}, :digits)"),
        "round_to": _TAMED.format(_AS_FLOAT, f"ROUND({_AS_FLOAT} / :unit) * :unit"),
    },
    text_type="STRING",
    strings=(exp.RawString,),
    derived_columns=False,
    column_lists=False,
    samples_tables=True,
    reads_all=False,  # bytes may be no text
    cast_as=_cast_as,
    keywords=frozenset(
        {"STRUCT", "VALUE", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"}
    ),
    openers=words("week safe_cast struct array numeric string bytes bignumeric float64 int64"),
    hidden_columns=words(
        """_partitiontime _partitiondate _table_suffix _file_name _change_type _change_timestamp session_user
        _change_sequence_number"""
    ),
)
