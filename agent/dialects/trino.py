"""Trino: what its SELECT may use, and how its masks are written."""

from typing import Final

from sqlglot import exp
from sqlglot.dialects.trino import Trino

from agent.dialects.base import Dialect, words

_CONDITIONAL = "coalesce nullif if greatest least try"

_NUMERIC = """abs acos asin atan atan2 bit_count bitwise_and bitwise_left_shift bitwise_not bitwise_or
bitwise_right_shift bitwise_xor cbrt ceil ceiling cos cosh cosine_similarity degrees e exp floor from_base infinity
is_finite is_infinite is_nan ln log log10 log2 mod nan pi pow power radians rand random round sign sin sinh sqrt tan
tanh to_base truncate width_bucket"""

_TEXT = """chr codepoint concat concat_ws ends_with format from_base64 from_hex from_utf8 hamming_distance length
levenshtein_distance lower lpad ltrim luhn_check md5 normalize position regexp_count regexp_extract regexp_extract_all
regexp_like regexp_position regexp_replace regexp_split replace reverse rpad rtrim sha1 sha256 sha512 soundex split
split_part split_to_map starts_with strpos substr substring to_base64 to_hex to_utf8 translate trim
typeof upper url_decode url_encode url_extract_fragment url_extract_host url_extract_parameter url_extract_path
url_extract_port url_extract_protocol url_extract_query uuid xxhash64 crc32"""

_TEMPORAL = """at_timezone current_date current_time current_timestamp date date_add date_diff date_format date_parse
date_trunc day day_of_month day_of_week day_of_year dow doy extract format_datetime from_iso8601_date
from_iso8601_timestamp from_unixtime from_unixtime_nanos hour human_readable_seconds last_day_of_month localtime
localtimestamp millisecond minute month now parse_datetime parse_duration quarter second timezone_hour timezone_minute
to_iso8601 to_milliseconds to_unixtime week week_of_year with_timezone year year_of_week yow"""

_NESTED = """all_match any_match array_agg array_average array_distinct array_except array_intersect array_join
array_max array_min array_position array_remove array_sort array_union arrays_overlap cardinality combinations contains
element_at filter flatten map map_agg map_concat map_entries map_filter map_from_entries map_keys map_union map_values
map_zip_with multimap_agg ngrams none_match reduce repeat row sequence shuffle slice transform transform_keys
transform_values trim_array unnest zip zip_with array"""

_JSON = """is_json_scalar json_array_contains json_array_get json_array_length json_exists json_extract
json_extract_scalar json_format json_parse json_query json_size json_value"""

_AGGREGATE = """any_value approx_distinct approx_most_frequent approx_percentile arbitrary avg bitwise_and_agg
bitwise_or_agg bool_and bool_or checksum corr count count_if covar_pop covar_samp entropy every geometric_mean grouping
histogram kurtosis listagg max max_by min min_by numeric_histogram regr_intercept regr_slope skewness stddev stddev_pop
stddev_samp sum var_pop var_samp variance"""

_WINDOW = "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value"

_AS_DOUBLE = "CAST(c AS DOUBLE)"
_LEAST = "TRY(CASE WHEN LENGTH(c) >= :least THEN {shown} WHEN c IS NULL THEN NULL ELSE '***' END)"
_TAMED = "TRY(TRY_CAST({} AS {{type}}))"

TRINO: Final = Dialect(
    name="trino",
    grammar=Trino,
    case="lower",
    default_schema="default",
    system_schemas=words("information_schema"),
    parameter=":",
    inline_parameters=True,
    functions=words(f"{_CONDITIONAL} {_NUMERIC} {_TEXT} {_TEMPORAL} {_NESTED} {_JSON} {_AGGREGATE} {_WINDOW}"),
    bare_functions=words("current_date current_time current_timestamp localtime localtimestamp"),
    table_functions=words("unnest"),
    casts=words(
        """ARRAY BIGINT BOOLEAN CHAR DATE DECIMAL DOUBLE FLOAT INT INTERVAL JSON MAP REAL SMALLINT STRUCT TEXT TIME
        TIMETZ TIMESTAMP TIMESTAMPTZ TINYINT UUID VARBINARY VARCHAR"""
    ),
    nodes={
        exp.Unnest: words("expressions alias offset"),
        exp.TableSample: words("expressions method percent rows size seed"),
        exp.LimitOptions: words("percent rows with_ties"),
        exp.HexString: words("this"),
        exp.JSONValue: words("this path"),
    },
    masks={
        "redact_text": "'***'",
        "null": "CAST(NULL AS {type})",
        "untyped_null": "NULL",
        "constant": ":value",
        "partial_last": _LEAST.format(shown="'***' || SUBSTR(c, 0 - :keep)"),
        "partial": _LEAST.format(shown="SUBSTR(c, 1, :first) || '***' || SUBSTR(c, 0 - :last)"),
        "email": (
            "TRY(CASE WHEN STRPOS(c, '@') > 0 THEN '***@' || REVERSE(SPLIT_PART(REVERSE(c), '@', 1))"
            " WHEN c IS NULL THEN NULL ELSE '***' END)"
        ),
        "year_date": "TRY(DATE_TRUNC('YEAR', c))",
        "year_timestamp": "TRY(DATE_TRUNC('YEAR', c))",
        "month_date": "TRY(DATE_TRUNC('MONTH', c))",
        "month_timestamp": "TRY(DATE_TRUNC('MONTH', c))",
        "bucket": _TAMED.format(f"FLOOR({_AS_DOUBLE} / :width) * :width"),
        "round": _TAMED.format(f"ROUND({_AS_DOUBLE}, :digits)"),
        "round_to": _TAMED.format(f"ROUND({_AS_DOUBLE} / :unit) * :unit"),
    },
    text_type="VARCHAR",
    reads_all=False,  # a JSON object has no text
    openers=words("array row varchar"),
    hidden_columns=words(
        """current_user current_catalog current_schema current_path current_role $path $file_size
        $file_modified_time $bucket $partition $partition_id $row_id _timestamp"""
    ),
)
