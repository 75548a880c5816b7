"""Amazon Redshift: what its SELECT may use, and how its masks are written. It grew out of PostgreSQL 8."""

from typing import Final

from sqlglot import exp
from sqlglot.dialects.redshift import Redshift

from agent.dialects.base import Dialect, words
from agent.dialects.postgres import AGGREGATE, GRAMMATICAL, HIDDEN, MASKS, NODES, NUMERIC, POSTGRES, TEXT, WINDOW

_OWN = """array array_concat array_flatten bit_and bit_or bool_and bool_or charindex checksum coalesce crc32 decode
difference dexp dlog1 dlog10 from_hex from_varbyte func_sha1 get_array_length greatest is_array is_bigint is_boolean
is_char is_decimal is_float is_integer is_object is_scalar is_smallint is_valid_json is_valid_json_array is_varchar
json_array_length json_extract_array_element_text json_extract_path_text json_parse json_serialize json_typeof lcase
least len md5 nullif nvl nvl2 quote_ident quote_literal sha sha1 sha2 size soundex split_to_array strtol subarray
textlen to_hex to_varbyte ucase"""

_TEMPORAL = """add_months age convert_timezone date date_add date_cmp date_diff date_part date_part_year date_trunc
dateadd datediff extract getdate interval_cmp isfinite last_day months_between next_day now timezone to_char to_date
to_number to_timestamp trunc sysdate timestamp timestamptz"""

_AGGREGATE = "listagg median ratio_to_report percentile_cont percentile_disc"

_FUNCTIONS = words(f"{NUMERIC} {TEXT} {_OWN} {_TEMPORAL} {AGGREGATE} {_AGGREGATE} {WINDOW}") - words(
    """casefold crc32c json_agg json_agg_strict json_object_agg json_object_agg_strict
    json_object_agg_unique jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique
    range_agg range_intersect_agg unistr unicode_assigned uuidv4 uuidv7 sha224 sha384 sha512 sha256 convert_from
    convert_to encode get_bit set_bit get_byte set_byte"""
)

_HMAC = (
    "SHA2(FROM_HEX((SELECT CURRENT_SETTING('meridyen.meridyen_{domain}_o'))) || FROM_HEX(SHA2("
    "FROM_HEX((SELECT CURRENT_SETTING('meridyen.meridyen_{domain}_i'))) || TO_VARBYTE(c, 'UTF8'), 256)), 256)"
)

REDSHIFT: Final = Dialect(
    name="redshift",
    grammar=Redshift,
    case="lower",
    default_schema="public",
    parameter=":",
    inline_parameters=True,
    functions=_FUNCTIONS,
    plain=_FUNCTIONS - GRAMMATICAL - words("date_add date_diff dateadd datediff listagg median nvl"),
    bare_functions=words("current_date current_time current_timestamp sysdate"),
    table_functions=frozenset(),
    mask_functions=words("current_setting from_hex sha2 to_varbyte"),
    casts=words(
        """BIGINT BOOLEAN BPCHAR CHAR DATE DECIMAL DOUBLE FLOAT INT INTERVAL SMALLINT SUPER TEXT TIME TIMETZ TIMESTAMP
        TIMESTAMPTZ TIMESTAMPNTZ VARBINARY VARCHAR"""
    ),
    kinds=POSTGRES.kinds,
    masks={
        **MASKS,
        "redact_text": "CAST('***' AS VARCHAR)",
        "untyped_null": "CAST(NULL AS VARCHAR)",
        "token": f"'tok_' || LEFT({_HMAC}, 32)",
    },
    nodes={
        **{node: parts for node, parts in NODES.items() if not issubclass(node, exp.TableSample)},
        exp.Qualify: words("this"),
        exp.Star: words("except_"),
        exp.Select: words("limit"),
        exp.ApproxDistinct: words("this"),
    },
    text_type="VARCHAR",
    strings=(exp.ByteString, exp.RawString),
    misread=POSTGRES.misread,
    openers=POSTGRES.openers,
    explain=True,
    calls_fields=True,
    system_schemas=words("pg_catalog information_schema pg_internal pg_automv pg_auto_copy"),
    hidden_columns=HIDDEN - words("ctid xmax xmin cmax cmin") | words("oid"),
)
