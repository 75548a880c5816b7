"""PostgreSQL: what its SELECT may use, and how its masks are written."""

from typing import Final

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres

from agent.dialects.base import Dialect, words

CONDITIONAL: Final = "coalesce greatest least nullif num_nonnulls num_nulls"

NUMERIC: Final = """abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh bit_count cbrt ceil ceiling cos
cosd cosh cot cotd degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod pi pow power
radians random random_normal round scale sign sin sind sinh sqrt tan tand tanh trim_scale trunc width_bucket"""

TEXT: Final = """ascii bit_length btrim casefold char_length character_length chr concat concat_ws convert_from
convert_to crc32 crc32c decode encode format get_bit get_byte initcap is_normalized left length like_escape lower lpad
ltrim md5 normalize octet_length overlay parse_ident position quote_ident quote_literal quote_nullable regexp_count
regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
regexp_substr repeat replace reverse right rpad rtrim set_bit set_byte sha224 sha256 sha384 sha512 similar_to_escape
split_part starts_with string_to_array string_to_table strpos substr substring text to_ascii to_bin to_char to_hex
to_number to_oct translate trim unicode_assigned unistr upper"""

TEMPORAL: Final = """age clock_timestamp date date_add date_bin date_part date_subtract date_trunc extract isfinite
justify_days justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz now
statement_timestamp timeofday timezone to_date to_timestamp transaction_timestamp timestamp timestamptz"""

_NESTED = """array array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position
array_positions array_prepend array_remove array_replace array_reverse array_sample array_shuffle array_sort
array_to_json array_to_string array_upper cardinality generate_series generate_subscripts row trim_array unnest"""

_JSON = """json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each
json_each_text json_extract_path json_extract_path_text json_object json_object_keys json_strip_nulls json_to_record
json_to_recordset json_typeof jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
jsonb_build_object jsonb_contained jsonb_contains jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all
jsonb_exists_any jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_keys
jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set
jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb"""

_RANGE = """daterange int4range int8range isempty lower_inc lower_inf multirange numrange range_merge tsrange tstzrange
upper_inc upper_inf datemultirange int4multirange int8multirange nummultirange tsmultirange tstzmultirange"""

_SEARCH = """numnode phraseto_tsquery plainto_tsquery querytree setweight strip to_tsquery to_tsvector ts_delete
ts_filter ts_headline ts_rank ts_rank_cd tsquery_phrase tsvector_to_array websearch_to_tsquery array_to_tsvector"""

_OTHER = """abbrev broadcast family gen_random_uuid host hostmask inet_merge inet_same_family macaddr8_set7bit masklen
netmask network set_masklen uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7"""

AGGREGATE: Final = """any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp
every grouping json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique jsonb_agg
jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique max min mode percentile_cont
percentile_disc range_agg range_intersect_agg regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx
regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance"""

_KEYWORDS = "all any some"

WINDOW: Final = """row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value"""

_FUNCTIONS = words(
    f"{CONDITIONAL} {NUMERIC} {TEXT} {TEMPORAL} {_NESTED} {_JSON} {_RANGE} {_SEARCH} {_OTHER} {AGGREGATE} {WINDOW}"
    f" {_KEYWORDS}"
)

GRAMMATICAL: Final = words(
    """all any some array array_agg avg coalesce corr count covar_pop covar_samp extract greatest grouping json_object
    least max min nullif overlay position row stddev stddev_pop stddev_samp string_agg substring sum trim var_pop
    var_samp variance any_value bool_and bool_or percentile_cont percentile_disc normalize"""
)
"""Functions that have a syntax of their own, and aggregates that the grammar knows and writes back unchanged."""

_LEAST = "CASE WHEN LENGTH(c) < :least THEN '***' ELSE {shown} END"
_COMMON_ERA = "CASE WHEN c BETWEEN '0001-01-02' AND '9999-12-31' THEN {shown} END"
"""Outside these years, with `infinity`, casts and truncation may leave the engine's own range, and that raises."""
BOUNDED: Final = "CASE WHEN {shown} BETWEEN {{low}} AND {{high}} THEN CAST({shown} AS {{type}}) END"
"""What does not fit into the column's type, and NaN, become NULL: there is no cast that does not raise."""
_BAND = "(CAST(c AS DECIMAL) - MOD(MOD(CAST(c AS DECIMAL), :width) + :width, :width))"
_PAD = "(SELECT DECODE(CURRENT_SETTING('meridyen.meridyen_{{domain}}_{end}'), 'hex'))"
_HMAC = "SHA256({outer} || SHA256({inner} || CONVERT_TO(c, 'UTF8')))".format(
    outer=_PAD.format(end="o"), inner=_PAD.format(end="i")
)

MASKS: Final = {
    "redact_text": "CAST('***' AS TEXT)",
    "null": "CAST(NULL AS {type})",
    "untyped_null": "CAST(NULL AS TEXT)",
    "constant": ":value",
    "partial_last": _LEAST.format(shown="'***' || RIGHT(c, :keep)"),
    "partial": _LEAST.format(shown="LEFT(c, :first) || '***' || RIGHT(c, :last)"),
    "email": "CASE WHEN STRPOS(c, '@') > 0 THEN '***@' || RIGHT(c, STRPOS(REVERSE(c), '@') - 1)"
    " WHEN c IS NULL THEN NULL ELSE '***' END",
    "year_date": _COMMON_ERA.format(shown="CAST(DATE_TRUNC('year', CAST(c AS TIMESTAMP)) AS DATE)"),
    "year_timestamp": _COMMON_ERA.format(shown="CAST(DATE_TRUNC('year', c) AS {type})"),
    "month_date": _COMMON_ERA.format(shown="CAST(DATE_TRUNC('month', CAST(c AS TIMESTAMP)) AS DATE)"),
    "month_timestamp": _COMMON_ERA.format(shown="CAST(DATE_TRUNC('month', c) AS {type})"),
    "bucket": BOUNDED.format(shown=_BAND),
    "round": BOUNDED.format(shown="ROUND(CAST(c AS DECIMAL), :digits)"),
    "round_to": BOUNDED.format(shown="(ROUND(CAST(c AS DECIMAL) / :unit) * :unit)"),
    "token": f"'tok_' || LEFT(ENCODE({_HMAC}, 'hex'), 32)",
}

_TYPES = """ARRAY BIGINT BIT BOOLEAN BPCHAR CHAR DATE DATERANGE DATEMULTIRANGE DECIMAL DOUBLE FLOAT INET INT INT4RANGE
INT4MULTIRANGE INT8RANGE INT8MULTIRANGE INTERVAL JSON JSONB MONEY NAME NUMMULTIRANGE NUMRANGE SMALLINT TEXT TIME TIMETZ
TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ TSMULTIRANGE TSRANGE TSTZMULTIRANGE TSTZRANGE UUID VARBINARY VARCHAR"""

NODES: Final[dict[type[exp.Expression], frozenset[str]]] = {
    exp.Table: words("ordinality"),
    exp.Lateral: words("ordinality"),
    exp.TableSample: words("expressions method percent size seed"),
    exp.LimitOptions: words("percent rows with_ties"),
    exp.Collate: words("this expression"),
    exp.Kwarg: words("this expression"),
    exp.PropertyEQ: words("this expression"),
    exp.HexString: words("this is_integer"),
    exp.BitString: words("this"),
    exp.Pow: words("this expression"),
    exp.Is: words("this expression negate"),
    exp.RegexpLike: words("this expression"),
    exp.RegexpILike: words("this expression"),
    exp.SimilarTo: words("this expression negate"),
    exp.StartsWith: words("this expression"),
    exp.Array: words("expressions bracket_notation"),
    exp.Sqrt: words("this"),
    exp.Cbrt: words("this"),
    **dict.fromkeys(
        (
            exp.Adjacent, exp.ArrayContainedBy, exp.ArrayContainsAll, exp.ArrayOverlaps, exp.Distance, exp.ExtendsLeft,
            exp.ExtendsRight, exp.JSONBContainsTopKey, exp.JSONBPathExists,
        ),
        words("this expression"),
    ),
    exp.MatchAgainst: words("this expressions"),
    exp.JSONExtract: words("this expression only_json_types"),
    exp.JSONExtractScalar: words("this expression only_json_types"),
    exp.JSONBExtract: words("this expression"),
    exp.JSONBExtractScalar: words("this expression"),
    exp.JSONBContains: words("this expression"),
    exp.JSONBContainsAllTopKeys: words("this expression"),
    exp.JSONBContainsAnyTopKeys: words("this expression"),
    exp.JSONBDeleteAtPath: words("this expression"),
    exp.DataType: words("kind"),
    exp.Variadic: words("this"),
}  # fmt: skip

HIDDEN: Final = words(
    """cmax cmin ctid oid tableoid xmax xmin current_catalog current_database current_role current_schema current_user
    session_user system_user user"""
)

POSTGRES: Final = Dialect(
    name="postgres",
    grammar=Postgres,
    case="lower",
    default_schema="public",
    parameter=":",
    inline_parameters=True,
    functions=_FUNCTIONS,
    plain=_FUNCTIONS - GRAMMATICAL,
    bare_functions=words("current_date current_time current_timestamp localtime localtimestamp"),
    table_functions=words(
        """generate_series generate_subscripts json_array_elements json_array_elements_text json_each json_each_text
        json_object_keys json_to_record json_to_recordset jsonb_array_elements jsonb_array_elements_text jsonb_each
        jsonb_each_text jsonb_object_keys jsonb_path_query jsonb_to_record jsonb_to_recordset regexp_matches
        regexp_split_to_table string_to_table unnest"""
    ),
    mask_functions=words("convert_to current_setting decode encode sha256"),
    casts=words(_TYPES),
    named_casts=words("cidr macaddr macaddr8 varbit tsvector tsquery jsonpath"),
    kinds={"BIT": "other", "BPCHAR": "text"},
    masks=MASKS,
    nodes=NODES,
    text_type="TEXT",
    strings=(exp.ByteString, exp.RawString),
    misread=words("interval"),  # `interval(3) '…'` would become a sum
    hidden_columns=HIDDEN,
    openers=words("all overlaps bit varbit bpchar first next"),
    samples_tables=True,
    order_keys=('CAST(c AS TEXT) COLLATE "C"',),  # some types have no order of their own
    calls_fields=True,
    forward_ctes=True,
    system_schemas=words("pg_catalog information_schema pg_toast pg_temp"),
    explain=True,
)
