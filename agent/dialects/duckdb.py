"""DuckDB: what its SELECT may use, and how its masks are written."""

from typing import Final

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

from agent.dialects.base import Dialect, words

_CONDITIONAL = "coalesce ifnull nullif if iif greatest least"

_NUMERIC = """abs acos acosh asin asinh atan atan2 atanh bit_count cbrt ceil ceiling cos cosh cot degrees divide even
exp factorial fdiv fmod floor gamma gcd greatest_common_divisor hex isfinite isinf isnan lcm least_common_multiple
lgamma ln log log10 log2 mod multiply nextafter pi pow power radians random round round_even roundbankers sign signbit
sin sinh sqrt subtract tan tanh to_base trunc xor add unhex bin unbin to_hex from_hex"""

_TEXT = """ascii bar base64 bit_length char_length character_length chr concat concat_ws contains damerau_levenshtein
ends_with format format_bytes formatreadablesize from_base64 hamming instr jaccard jaro_similarity
jaro_winkler_similarity lcase left left_grapheme len length length_grapheme levenshtein lower lpad ltrim md5
mismatches editdist3 nfc_normalize octet_length ord parse_filename position prefix printf regexp_escape
regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace regexp_split_to_array
regexp_split_to_table repeat replace reverse right right_grapheme rpad rtrim sha1 sha256 split split_part starts_with
str_split str_split_regex string_split string_split_regex string_to_array strip_accents strlen strpos substr substring
substring_grapheme suffix to_base64 translate trim ucase unicode upper url_decode url_encode uuid gen_random_uuid
overlay encode decode hash"""

_TEMPORAL = """age century date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc day
dayname dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era extract
get_current_timestamp hour isodow isoyear julian last_day make_date make_time make_timestamp make_timestamp_ms
make_timestamp_ns make_timestamptz microsecond millennium millisecond minute month monthname nanosecond now quarter
second strftime strptime time_bucket timezone timezone_hour timezone_minute to_centuries to_days to_decades to_hours
to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years
today transaction_timestamp try_strptime week weekday weekofyear year yearweek ago date timestamp"""

_NESTED = """array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains array_distance
array_distinct array_extract array_filter array_grade_up array_has array_has_all array_has_any array_indexof
array_inner_product array_intersect array_length array_pop_back array_pop_front array_position array_prepend
array_push_back array_push_front array_resize array_reverse array_reverse_sort array_select array_slice array_sort
array_to_string array_transform array_unique array_value array_where array_zip cardinality element_at flatten
generate_series generate_subscripts list_aggr list_aggregate list_any_value list_append list_apply
list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor list_bool_and list_bool_or list_cat
list_concat list_contains list_count list_distance list_distinct list_element list_entropy list_extract list_filter
list_first list_grade_up list_has list_has_all list_has_any list_histogram list_indexof list_intersect list_kurtosis
list_last list_mad list_max list_median list_min list_mode list_pack list_position list_prepend list_product
list_reduce list_resize list_reverse list_reverse_sort list_select list_slice list_sort list_stddev_pop
list_stddev_samp list_string_agg list_sum list_transform list_unique list_value list_var_pop list_var_samp list_where
list_zip map map_concat map_contains map_entries map_extract map_extract_value map_from_entries map_keys map_values
range row row_to_json struct_concat struct_contains struct_extract struct_has struct_indexof struct_insert
struct_keys struct_pack struct_position struct_update struct_values unnest union_extract union_tag union_value"""

_JSON = """array_to_json json json_array json_array_length json_contains json_exists json_extract json_extract_path
json_extract_path_text json_extract_string json_group_array json_group_object json_keys json_merge_patch json_object
json_pretty json_quote json_structure json_type json_valid json_value to_json"""

_AGGREGATE = """any_value approx_count_distinct approx_quantile arbitrary arg_max arg_max_null arg_min
arg_min_null argmax argmin array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star countif
covar_pop covar_samp entropy favg first fsum geomean geometric_mean group_concat grouping grouping_id histogram
kahan_sum kurtosis kurtosis_pop last list listagg lttb mad max max_by mean median min min_by mode product quantile
quantile_cont quantile_disc regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
reservoir_quantile sem skewness stddev stddev_pop stddev_samp string_agg sum sumkahan var_pop var_samp variance
wavg weighted_avg percentile_cont percentile_disc"""

_WINDOW = "row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value fill"

_TYPE = "try typeof equi_width_bins columns"

_LEAST = "CASE WHEN LENGTH(c) >= $least THEN {shown} WHEN c IS NULL THEN NULL ELSE '***' END"

DUCKDB: Final = Dialect(
    name="duckdb",
    grammar=DuckDB,
    case="insensitive",
    default_schema="main",
    parameter="$",
    functions=words(f"{_CONDITIONAL} {_NUMERIC} {_TEXT} {_TEMPORAL} {_NESTED} {_JSON} {_AGGREGATE} {_WINDOW} {_TYPE}"),
    bare_functions=words("current_date current_time current_timestamp localtime localtimestamp"),
    table_functions=words("range generate_series unnest"),
    casts=words(
        """BIGINT BIT BOOLEAN CHAR DATE DECIMAL DOUBLE FLOAT HUGEINT INT INT128 INT256 INTERVAL JSON MAP LIST
        ARRAY NVARCHAR NCHAR SMALLINT STRUCT TEXT TIME TIMETZ TIMESTAMP TIMESTAMPTZ TIMESTAMPLTZ
        TIMESTAMPNTZ TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS TIMESTAMPTZ TINYINT UBIGINT UHUGEINT UINT UINT128
        USMALLINT UTINYINT UUID VARBINARY BINARY VARCHAR BLOB NAME"""
    ),
    nodes={
        exp.Pivot: words(
            """this alias expressions fields unpivot using group columns include_nulls default_on_null into with_
        identify_pivot_strings prefixed_pivot_columns pivot_column_naming"""
        ),
        exp.PivotAlias: words("this alias"),
        exp.UnpivotColumns: words("this expressions"),
        exp.Columns: words("this unpack"),
        exp.Star: words("ilike"),
        exp.Comprehension: words("this expression iterator condition position"),
        exp.PropertyEQ: words("this expression"),
        exp.ToMap: words("this"),
        exp.Kwarg: words("this expression"),
        exp.IntDiv: words("this expression"),
        exp.Pow: words("this expression"),
        exp.Glob: words("this expression"),
        exp.StartsWith: words("this expression"),
        exp.Unnest: words("expressions alias offset explode_array"),
        exp.Explode: words("this expressions"),
        exp.TableSample: words("expressions method percent rows size seed"),
        exp.Qualify: words("this"),
        exp.In: words("field"),
        exp.RegexpILike: words("this expression flag"),
        exp.Collate: words("this expression"),
        exp.LimitOptions: words("percent rows with_ties"),
    },
    masks={
        "redact_text": "'***'",
        "null": "CAST(NULL AS {type})",
        "untyped_null": "NULL",
        "constant": "$value",
        # RIGHT takes half as long again as SUBSTR with a negative start.
        "partial_last": "CASE WHEN LENGTH(c) < $least THEN '***' ELSE '***' || SUBSTR(c, 0 - $keep) END",
        "partial": _LEAST.format(shown="LEFT(c, $first) || '***' || RIGHT(c, $last)"),
        "email": (
            "CASE WHEN CONTAINS(c, '@') THEN '***@' || SPLIT_PART(c, '@', -1) WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        "year_date": "TRY(CAST(DATE_TRUNC('year', c) AS DATE))",
        "year_timestamp": "TRY(CAST(DATE_TRUNC('year', c) AS {type}))",
        "month_date": "TRY(CAST(DATE_TRUNC('month', c) AS DATE))",
        "month_timestamp": "TRY(CAST(DATE_TRUNC('month', c) AS {type}))",
        "bucket": "TRY_CAST(FLOOR(CAST(c AS DOUBLE) / $width) * $width AS {type})",
        "round": "TRY_CAST(ROUND(CAST(c AS DOUBLE), $digits) AS {type})",
        "round_to": "TRY_CAST(ROUND(CAST(c AS DOUBLE) / $unit) * $unit AS {type})",
        "token": (
            "'tok_' || LEFT(SHA256((SELECT GETVARIABLE('meridyen_{domain}_o'))"
            " || UNHEX(SHA256((SELECT GETVARIABLE('meridyen_{domain}_i')) || ENCODE(c)))), 32)"
        ),
    },
    text_type="VARCHAR",
    strings=(exp.ByteString, exp.RawString),
    hidden_columns=words("current_catalog current_role current_schema current_user session_user user"),
    explain=True,
)
