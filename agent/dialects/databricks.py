"""Databricks (Spark SQL): what its SELECT may use, and how its masks are written."""

import re
from typing import Final

from sqlglot import exp
from sqlglot.dialects.databricks import Databricks

from agent.dialects.base import Dialect, words

_CONDITIONAL = """coalesce nvl nvl2 ifnull nullif if iff decode greatest least isnull isnotnull isnan nanvl equal_null
zeroifnull nullifzero"""

_NUMERIC = """abs acos acosh asin asinh atan atan2 atanh bin bit_count bit_get bround cbrt ceil ceiling conv cos cosh
cot csc degrees div e exp expm1 factorial floor getbit hex hypot ln log log10 log1p log2 mod negative pi pmod positive
pow power radians rand randn random rint round sec shiftleft shiftright shiftrightunsigned sign signum sin sinh sqrt
tan tanh try_add try_divide try_multiply try_subtract try_mod unhex width_bucket uniform"""

_TEXT = """ascii base64 bit_length btrim char char_length character_length charindex chr concat concat_ws contains
decode elt encode endswith find_in_set format_number format_string initcap instr lcase left len length levenshtein
locate lower lpad ltrim luhn_check mask octet_length overlay position printf regexp regexp_count regexp_extract
regexp_extract_all regexp_instr regexp_like regexp_replace regexp_substr repeat replace reverse right rlike rpad rtrim
sentences soundex space split split_part startswith string substr substring substring_index to_char to_number
to_varchar translate trim try_to_number ucase unbase64 upper collation is_valid_utf8 make_valid_utf8 like ilike
startswith"""

_HASH = "crc32 hash md5 sha sha1 sha2 xxhash64 uuid"

_TEMPORAL = """add_months convert_timezone curdate current_date current_timestamp current_timezone date date_add
date_diff date_format date_from_unix_date date_part date_sub date_trunc dateadd datediff datepart day dayname
dayofmonth dayofweek dayofyear extract from_unixtime from_utc_timestamp getdate hour last_day make_date
make_dt_interval make_interval make_timestamp make_ym_interval minute month monthname months_between next_day now
quarter second timediff timestamp timestamp_micros timestamp_millis timestamp_seconds timestampadd timestampdiff
to_date to_timestamp to_unix_timestamp to_utc_timestamp trunc try_to_timestamp try_to_date unix_date unix_micros
unix_millis unix_seconds unix_timestamp weekday weekofyear year window window_time session_window"""

_CASTS = """bigint binary boolean decimal double float int smallint tinyint to_binary try_to_binary typeof"""

_NESTED = """aggregate array array_append array_compact array_contains array_distinct array_except array_insert
array_intersect array_join array_max array_min array_position array_prepend array_remove array_repeat array_size
array_sort array_union arrays_overlap arrays_zip cardinality element_at exists explode explode_outer filter flatten
forall get inline inline_outer map map_concat map_contains_key map_entries map_filter map_from_arrays map_from_entries
map_keys map_values map_zip_with named_struct posexplode posexplode_outer reduce sequence shuffle size slice
sort_array stack str_to_map struct transform transform_keys transform_values try_element_at zip_with"""

_JSON = """from_json get_json_object json_array_length json_object_keys json_tuple parse_json schema_of_json to_json
try_parse_json variant_get try_variant_get is_variant_null to_variant_object from_csv to_csv parse_url url_decode
url_encode try_url_decode"""

_AGGREGATE = """any any_value approx_count_distinct approx_percentile approx_top_k array_agg avg bit_and bit_or
bit_xor bool_and bool_or collect_list collect_set corr count count_if count_min_sketch covar_pop covar_samp every
first first_value grouping grouping_id histogram_numeric kurtosis last last_value listagg max max_by mean median min
min_by mode percentile percentile_approx percentile_cont percentile_disc regr_avgx regr_avgy regr_count regr_intercept
regr_r2 regr_slope regr_sxx regr_sxy regr_syy skewness some std stddev stddev_pop stddev_samp string_agg sum try_avg
try_sum var_pop var_samp variance bitmap_construct_agg bitmap_count bitmap_bit_position bitmap_bucket_number
bitmap_or_agg hll_sketch_agg hll_sketch_estimate hll_union hll_union_agg"""

_WINDOW = "row_number rank dense_rank percent_rank cume_dist ntile lag lead nth_value"

_GEO = """h3_longlatash3 h3_longlatash3string h3_h3tostring h3_stringtoh3 h3_toparent h3_distance h3_resolution
st_distance st_point st_x st_y st_contains st_within st_intersects st_area st_length st_geomfromtext st_astext"""

_LEAST = "CASE WHEN LENGTH(c) >= :least THEN {shown} WHEN c IS NULL THEN NULL ELSE '***' END"

DATABRICKS: Final = Dialect(
    name="databricks",
    grammar=Databricks,
    case="insensitive",
    default_schema="default",
    parameter=":",
    functions=words(
        f"{_CONDITIONAL} {_NUMERIC} {_TEXT} {_HASH} {_TEMPORAL} {_CASTS} {_NESTED} {_JSON} {_AGGREGATE} {_WINDOW}"
        f" {_GEO}"
    ),
    plain=words(
        "first last percentile percentile_cont percentile_disc trunc date_trunc get_json_object array_size window"
    ),
    bare_functions=words("current_date current_timestamp"),
    table_functions=words(
        "range explode explode_outer posexplode posexplode_outer inline inline_outer stack json_tuple"
    ),
    casts=words(
        """TEXT VARCHAR CHAR BOOLEAN TINYINT SMALLINT INT BIGINT FLOAT DOUBLE DECIMAL DATE TIMESTAMP TIMESTAMPNTZ
        TIMESTAMPLTZ TIMESTAMPTZ BINARY VARBINARY ARRAY MAP STRUCT INTERVAL VARIANT UUID"""
    ),
    nodes={
        exp.Exists: words("expression"),
        exp.FromTimeZone: words("this zone"),
        exp.Pivot: words("this alias expressions fields unpivot columns include_nulls pivot_column_naming"),
        exp.PivotAlias: words("this alias"),
        exp.PropertyEQ: words("this expression"),
        exp.Qualify: words("this"),
        exp.IntDiv: words("this expression"),
        exp.RegexpLike: words("this expression"),
        exp.Sort: words("this expressions"),
        exp.Struct: words("expressions"),
        exp.Collate: words("this expression"),
        exp.LimitOptions: words("percent rows with_ties"),
    },
    keywords=frozenset({"ROW"}),
    masks={
        "redact_text": "'***'",
        "null": "CAST(NULL AS {type})",
        "untyped_null": "NULL",
        "constant": ":value",
        "partial_last": _LEAST.format(shown="CONCAT('***', RIGHT(c, :keep))"),
        "partial": _LEAST.format(shown="CONCAT(LEFT(c, :first), '***', RIGHT(c, :last))"),
        "email": (
            "CASE WHEN LOCATE('@', c) > 0 THEN CONCAT('***@', SUBSTRING_INDEX(c, '@', 0 - 1))"
            " WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        "year_date": "TRUNC(c, 'YEAR')",
        "year_timestamp": "CAST(DATE_TRUNC('YEAR', c) AS {type})",
        "month_date": "TRUNC(c, 'MONTH')",
        "month_timestamp": "CAST(DATE_TRUNC('MONTH', c) AS {type})",
        "bucket": "TRY_CAST(FLOOR(CAST(c AS DOUBLE) / :width) * CAST(:width AS DOUBLE) AS {type})",
        "round": "TRY_CAST(ROUND(CAST(c AS DOUBLE), :digits) AS {type})",
        "round_to": "TRY_CAST(ROUND(CAST(c AS DOUBLE) / :unit) * :unit AS {type})",
    },
    text_type="STRING",
    bare_paths=True,
    unsafe_text=re.compile(r"\$\{"),  # Spark replaces ${env:…} and ${conf} in the text before it reads it
    strings=(exp.RawString,),
    hidden_columns=words(
        """_metadata _rescued_data input_file_name current_user session_user user current_catalog current_database
        current_schema current_metastore current_role"""
    ),
)
