"""Snowflake: what its SELECT may use, and how its masks are written."""

from typing import Final

from sqlglot import exp
from sqlglot.dialects.snowflake import Snowflake

from agent.dialects.base import Dialect, words

_CONDITIONAL = """coalesce ifnull nvl nvl2 nullif nullifzero zeroifnull iff decode equal_null greatest least
greatest_ignore_nulls least_ignore_nulls booland boolor boolxor boolnot regr_valx regr_valy"""

_NUMERIC = """abs acos acosh asin asinh atan atan2 atanh bitand bitnot bitor bitshiftleft bitshiftright bitxor cbrt ceil
cos cosh cot degrees div0 div0null exp factorial floor haversine ln log mod pi pow power radians random round sign sin
sinh sqrt square tan tanh trunc truncate uniform width_bucket"""

_TEXT = """ascii base64_decode_string base64_encode bit_length char charindex chr collate collation concat
concat_ws contains editdistance endswith hex_decode_string hex_encode ilike initcap insert jarowinkler_similarity left
length len like lower lpad ltrim md5 md5_hex octet_length parse_ip position randstr regexp_count regexp_instr
regexp_like regexp_replace regexp_substr regexp_substr_all repeat replace reverse right rlike rpad rtrim
rtrimmed_length sha1 sha1_hex sha2 sha2_hex soundex space split split_part startswith strtok strtok_to_array substr
substring translate trim unicode upper uuid_string hash"""

_TEMPORAL = """add_months convert_timezone date date_from_parts date_part date_trunc dateadd datediff datefromparts
day dayname dayofmonth dayofweek dayofweekiso dayofyear extract hour last_day minute month monthname months_between
next_day previous_day quarter second time time_from_parts time_slice timeadd timediff timestamp_from_parts
timestamp_ltz_from_parts timestamp_ntz_from_parts timestamp_tz_from_parts timestampadd timestampdiff trunc week
weekiso weekofyear year yearofweek yearofweekiso current_date current_time current_timestamp getdate localtime
localtimestamp sysdate"""

_CONVERSION = """to_array to_binary to_boolean to_char to_date to_decimal to_double to_json to_number to_numeric
to_object to_time to_timestamp to_timestamp_ltz to_timestamp_ntz to_timestamp_tz to_varchar to_variant try_to_binary
try_to_boolean try_to_date try_to_decimal try_to_double try_to_number try_to_numeric try_to_time try_to_timestamp
try_to_timestamp_ltz try_to_timestamp_ntz try_to_timestamp_tz as_array as_boolean as_char as_date as_decimal as_double
as_integer as_number as_object as_real as_varchar"""

_NESTED = """array_agg array_append array_cat array_compact array_construct array_construct_compact array_contains
array_distinct array_except array_flatten array_generate_range array_insert array_intersection array_max array_min
array_position array_prepend array_remove array_remove_at array_size array_slice array_sort array_to_string
arrays_overlap arrays_to_object arrays_zip check_json get get_ignore_case get_path is_array is_boolean is_char is_date
is_decimal is_double is_integer is_null_value is_object is_real is_timestamp_ntz is_varchar json_extract_path_text
map_cat map_contains_key map_keys map_size object_agg object_construct object_construct_keep_null object_delete
object_insert object_keys object_pick parse_json strip_null_value try_parse_json typeof xmlget filter transform
reduce"""

_AGGREGATE = """any_value approx_count_distinct approx_percentile approx_top_k array_union_agg array_unique_agg avg
bitand_agg bitandagg bitor_agg bitoragg bitxor_agg bitxoragg booland_agg boolor_agg boolxor_agg corr count count_if
covar_pop covar_samp grouping grouping_id hash_agg hll kurtosis listagg max max_by mean median min min_by minhash mode
percentile_cont percentile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy
regr_syy skew stddev stddev_pop stddev_samp sum var_pop var_samp variance variance_pop variance_samp"""

_WINDOW = """row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
conditional_change_event conditional_true_event ratio_to_report"""

_AS_DOUBLE = "CAST(c AS DOUBLE)"
_TAMED = "CASE WHEN ABS({0}) < 1E150 THEN {1} END"
_LEAST = "CASE WHEN LENGTH(c) >= :least THEN {shown} WHEN c IS NULL THEN NULL ELSE '***' END"

SNOWFLAKE: Final = Dialect(
    name="snowflake",
    grammar=Snowflake,
    case="upper",
    default_schema="PUBLIC",
    system_schemas=frozenset({"INFORMATION_SCHEMA"}),
    parameter=":",
    inline_parameters=True,
    functions=words(f"{_CONDITIONAL} {_NUMERIC} {_TEXT} {_TEMPORAL} {_CONVERSION} {_NESTED} {_AGGREGATE} {_WINDOW}"),
    bare_functions=words("current_date current_time current_timestamp localtime localtimestamp"),
    table_functions=words("flatten split_to_table strtok_split_to_table generator"),
    casts=words(
        """ARRAY BIGINT BINARY BOOLEAN CHAR DATE DATETIME DECIMAL DECFLOAT DOUBLE FLOAT INT NCHAR NVARCHAR OBJECT
        SMALLINT TEXT TIME TIMESTAMP TIMESTAMPLTZ TIMESTAMPNTZ TIMESTAMPTZ TINYINT VARBINARY VARCHAR VARIANT"""
    ),
    nodes={
        exp.Pivot: words(
            """this alias expressions fields unpivot columns include_nulls default_on_null
            identify_pivot_strings prefixed_pivot_columns pivot_column_naming value_columns_first"""
        ),
        exp.Join: words("match_condition"),
        exp.UnixToTime: words("this scale target_type"),
        exp.PropertyEQ: words("this expression"),
        exp.TableFromRows: words("this alias joins pivots sample"),
        exp.PivotAlias: words("this alias"),
        exp.Star: words("ilike"),
        exp.Qualify: words("this"),
        exp.Collate: words("this expression"),
        exp.Kwarg: words("this expression"),
        exp.HexString: words("this"),
        exp.TableSample: words("expressions method percent rows size seed"),
        exp.JSONExtract: words("this expression only_json_types variant_extract json_query option requires_json"),
        exp.Xor: words("round_input"),
    },
    masks={
        "redact_text": "'***'",
        "null": "CAST(NULL AS {type})",
        "untyped_null": "NULL",
        "constant": ":value",
        "partial_last": _LEAST.format(shown="'***' || RIGHT(c, :keep)"),
        "partial": _LEAST.format(shown="LEFT(c, :first) || '***' || RIGHT(c, :last)"),
        "email": (
            "CASE WHEN CONTAINS(c, '@') THEN '***@' || SPLIT_PART(c, '@', -1) WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        "year_date": "DATE_TRUNC('YEAR', c)",
        "year_timestamp": "DATE_TRUNC('YEAR', c)",
        "month_date": "DATE_TRUNC('MONTH', c)",
        "month_timestamp": "DATE_TRUNC('MONTH', c)",
        # TRY_CAST takes texts only, and a NUMBER(2, 0) would overflow: the result is a DOUBLE.
        "bucket": _TAMED.format(_AS_DOUBLE, f"FLOOR({_AS_DOUBLE} / :width) * :width"),
        "round": _TAMED.format(_AS_DOUBLE, f"ROUND({_AS_DOUBLE}, :digits)"),
        "round_to": _TAMED.format(_AS_DOUBLE, f"ROUND({_AS_DOUBLE} / :unit) * :unit"),
    },
    text_type="VARCHAR",
    plain=words("to_timestamp_ltz to_timestamp_ntz to_timestamp_tz"),
    kinds={"DECFLOAT": "other"},  # reaches beyond a DOUBLE
    strings=(exp.RawString,),
    keywords=words(
        """INPUT PATH RECURSIVE MODE ROWCOUNT TIMELIMIT EPOCH_SECOND EPOCH_MILLISECOND EPOCH_MICROSECOND
        EPOCH_NANOSECOND DAYOFWEEKISO WEEKISO YEAROFWEEK YEAROFWEEKISO"""
    ),
    openers=words(
        """table minus array object any seed match_condition varbinary binary number timestampntz timestampltz
        timestamptz nchar nvarchar"""
    ),
    hidden_columns=words(
        """current_user current_role current_schema current_database current_warehouse current_account user
        session_user metadata$filename metadata$file_row_number metadata$file_content_key metadata$file_last_modified
        metadata$start_scan_time metadata$action metadata$isupdate metadata$row_id rowid"""
    ),
)
