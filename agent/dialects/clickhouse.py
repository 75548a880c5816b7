"""ClickHouse: what its SELECT may use, and how its masks are written."""

from itertools import pairwise
from typing import Final

from sqlglot import exp
from sqlglot.dialects.clickhouse import ClickHouse
from sqlglot.tokenizer_core import Token, TokenType

from agent.dialects.base import Dialect, words

_INTEGERS = ["8", "16", "32", "64", "128", "256"]
_CONVERTED = [f"Int{bits}" for bits in _INTEGERS] + [f"UInt{bits}" for bits in _INTEGERS]
_CONVERTED += ["Float32", "Float64", "Date", "Date32", "DateTime", "DateTime64", "UUID", "IPv4", "IPv6"]
_CONVERTED += [f"Decimal{bits}" for bits in ("32", "64", "128", "256")]
_CONVERSIONS = " ".join(f"to{name}{ending}" for name in _CONVERTED for ending in ("", "OrNull", "OrZero", "OrDefault"))
_INTERVALS = " ".join(
    f"toInterval{unit} add{unit}s subtract{unit}s"
    for unit in ["Year", "Quarter", "Month", "Week", "Day", "Hour", "Minute", "Second", "Millisecond", "Microsecond"]
)

_CONDITIONAL = """if multiIf coalesce ifNull nullIf isNull isNotNull assumeNotNull toNullable isZeroOrNull greatest
least empty notEmpty isNaN isFinite isInfinite ifNotFinite transform and or not xor equals notEquals less greater
lessOrEquals greaterOrEquals like ilike isDistinctFrom isNotDistinctFrom"""

_CASTS = """toString toFixedString toBool toDecimalString toLowCardinality toTypeName accurateCast accurateCastOrNull
accurateCastOrDefault parseDateTime parseDateTimeOrNull parseDateTimeOrZero parseDateTimeBestEffort
parseDateTimeBestEffortOrNull parseDateTimeBestEffortOrZero parseDateTimeBestEffortUS parseDateTimeBestEffortUSOrNull
parseDateTime64BestEffort parseDateTime64BestEffortOrNull"""

_NUMERIC = """plus minus multiply divide intDiv intDivOrZero modulo moduloOrZero positiveModulo mod negate abs sign
sqrt cbrt exp exp2 exp10 ln log log2 log10 log1p pow power sin cos tan asin acos atan atan2 sinh cosh tanh hypot
degrees radians pi e floor ceil ceiling round roundBankers roundToExp2 roundDown trunc truncate gcd lcm max2 min2
factorial bitAnd bitOr bitXor bitNot bitShiftLeft bitShiftRight bitCount bitTest bitHammingDistance widthBucket
width_bucket erf tgamma lgamma rand32 rand64 randUniform randNormal randCanonical hex unhex bin unbin"""

_TEXT = """length char_length character_length lengthUTF8 octet_length lower upper lcase ucase lowerUTF8 upperUTF8
reverse reverseUTF8 concat concat_ws concatWithSeparator substring substr mid substringUTF8 substringIndex
substring_index substringIndexUTF8 left leftUTF8 right rightUTF8 leftPad lpad leftPadUTF8 rightPad rpad rightPadUTF8
trim trimLeft ltrim trimRight rtrim trimBoth position positionUTF8 positionCaseInsensitive positionCaseInsensitiveUTF8
countSubstrings countSubstringsCaseInsensitive replace replaceOne replaceAll replaceRegexpOne replaceRegexpAll
regexp_replace regexpQuoteMeta match extract extractAll extractGroups extractAllGroups extractAllGroupsHorizontal
extractAllGroupsVertical regexpExtract regexp_extract REGEXP_MATCHES startsWith endsWith startsWithUTF8 endsWithUTF8
hasToken hasTokenCaseInsensitive hasTokenOrNull multiSearchAny multiSearchAnyCaseInsensitive multiSearchFirstIndex
multiSearchFirstPosition multiSearchAllPositions multiMatchAny multiMatchAnyIndex multiMatchAllIndices splitByChar
splitByString splitByRegexp splitByWhitespace splitByNonAlpha alphaTokens tokens ngrams repeat space ascii char format
printf base64Encode base64Decode tryBase64Decode base58Encode tryBase58Decode encodeXMLComponent decodeXMLComponent
decodeHTMLComponent normalizeQuery toValidUTF8 isValidUTF8 initcap initcapUTF8 soundex translate translateUTF8
appendTrailingCharIfAbsent normalizeUTF8NFC normalizeUTF8NFD stringJaccardIndex editDistance levenshtein
damerauLevenshteinDistance jaroSimilarity ngramDistance ngramDistanceCaseInsensitive ngramSearch byteHammingDistance
punycodeEncode formatReadableSize formatReadableDecimalSize formatReadableQuantity formatReadableTimeDelta bar"""

_HASH = """MD5 MD4 SHA1 SHA224 SHA256 SHA384 SHA512 halfMD5 cityHash64 sipHash64 sipHash128 farmHash64 metroHash64
murmurHash2_32 murmurHash2_64 murmurHash3_32 murmurHash3_64 murmurHash3_128 xxHash32 xxHash64 CRC32 CRC64 javaHash
hiveHash intHash32 intHash64 generateUUIDv4 generateUUIDv7 generateULID"""

_TEMPORAL = """now now64 nowInBlock today yesterday toYear toQuarter toMonth toWeek toISOWeek toISOYear toYearWeek
toDayOfYear toDayOfMonth toDayOfWeek toHour toMinute toSecond toMillisecond toUnixTimestamp toUnixTimestamp64Milli
toUnixTimestamp64Micro toUnixTimestamp64Nano fromUnixTimestamp fromUnixTimestamp64Milli fromUnixTimestamp64Micro
fromUnixTimestamp64Nano toStartOfYear toStartOfISOYear toStartOfQuarter toStartOfMonth toStartOfWeek toStartOfDay
toStartOfHour toStartOfMinute toStartOfSecond toStartOfFiveMinutes toStartOfFiveMinute toStartOfTenMinutes
toStartOfFifteenMinutes toStartOfInterval toMonday toLastDayOfMonth toLastDayOfWeek toTime toTimeZone timezoneOf
timezoneOffset toYYYYMM toYYYYMMDD toYYYYMMDDhhmmss YYYYMMDDToDate YYYYMMDDhhmmssToDateTime makeDate makeDate32
makeDateTime makeDateTime64 toRelativeYearNum toRelativeQuarterNum toRelativeMonthNum toRelativeWeekNum
toRelativeDayNum toRelativeHourNum toRelativeMinuteNum toRelativeSecondNum dateDiff date_diff age dateTrunc date_trunc
dateAdd date_add dateSub date_sub timestampAdd timestamp_add timestampSub timestamp_sub addDate subDate addInterval
subtractInterval formatDateTime formatDateTimeInJodaSyntax dateName monthName timeSlot timeSlots toDaysSinceYearZero
fromDaysSinceYearZero toModifiedJulianDay fromModifiedJulianDay last_day to_unixtime date datediff"""

_NESTED = """array arrayElement arrayConcat arrayMap arrayFilter arrayFold arrayReduce arrayReduceInRanges arrayExists
arrayAll arrayFirst arrayFirstOrNull arrayFirstIndex arrayLast arrayLastOrNull arrayLastIndex arrayCount arraySum
arrayAvg arrayMin arrayMax arrayProduct arrayCumSum arrayCumSumNonNegative arrayDifference arraySort arrayReverseSort
arrayPartialSort arrayReverse arraySlice arrayDistinct arrayUniq arrayZip arrayFlatten flatten arrayEnumerate
arrayEnumerateUniq arrayEnumerateDense arrayPushBack arrayPushFront arrayPopBack arrayPopFront arrayResize
arrayWithConstant arrayIntersect arrayUnion arrayStringConcat arrayJoin arrayFill arrayReverseFill arraySplit
arrayReverseSplit arrayShiftLeft arrayShiftRight arrayRotateLeft arrayRotateRight arrayJaccardIndex arrayDotProduct
arrayAUC arrayRandomSample has hasAll hasAny hasSubstr indexOf indexOfAssumeSorted countEqual range emptyArrayToSingle
emptyArrayString emptyArrayInt64 emptyArrayUInt64 emptyArrayFloat64 tuple tupleElement tupleConcat tuplePlus
tupleMinus tupleToNameValuePairs untuple L1Norm L2Norm L1Distance L2Distance cosineDistance dotProduct map mapKeys
mapValues mapContains mapContainsKeyLike mapAdd mapSubtract mapFilter mapApply mapConcat mapSort mapReverseSort
mapExists mapAll mapUpdate mapFromArrays mapPopulateSeries extractKeyValuePairs bitmapBuild bitmapToArray
bitmapCardinality bitmapContains bitmapAnd bitmapOr bitmapXor bitmapAndnot bitmapHasAny bitmapHasAll
bitmapAndCardinality bitmapOrCardinality bitmapMin bitmapMax"""

_JSON = """JSONHas JSONLength JSONKey JSONType JSONExtract JSONExtractString JSONExtractInt JSONExtractUInt
JSONExtractFloat JSONExtractBool JSONExtractRaw JSONExtractArrayRaw JSONExtractKeys JSONExtractKeysAndValues
JSONExtractKeysAndValuesRaw JSON_VALUE JSON_QUERY JSON_EXISTS JSONArrayLength isValidJSON toJSONString jsonMergePatch
simpleJSONHas simpleJSONExtractString simpleJSONExtractInt simpleJSONExtractUInt simpleJSONExtractFloat
simpleJSONExtractBool simpleJSONExtractRaw visitParamHas visitParamExtractString visitParamExtractInt
visitParamExtractUInt visitParamExtractFloat visitParamExtractBool visitParamExtractRaw"""

_NET = """domain domainWithoutWWW domainRFC topLevelDomain firstSignificantSubdomain cutToFirstSignificantSubdomain
protocol path pathFull queryString fragment queryStringAndFragment extractURLParameter extractURLParameters
extractURLParameterNames URLHierarchy URLPathHierarchy cutURLParameter cutWWW cutQueryString cutFragment netloc port
decodeURLComponent encodeURLComponent IPv4NumToString IPv4StringToNum IPv4StringToNumOrNull IPv4ToIPv6 IPv6NumToString
IPv6StringToNum IPv6StringToNumOrNull IPv4CIDRToRange IPv6CIDRToRange isIPv4String isIPv6String isIPAddressInRange
greatCircleDistance geoDistance greatCircleAngle pointInEllipses pointInPolygon geohashEncode geohashDecode"""

_OTHER = """materialize identity ignore grouping rowNumberInAllBlocks runningAccumulate runningDifference
finalizeAggregation"""

_AGGREGATE = """count countIf sum sumOrNull sumKahan sumWithOverflow sumMap sumMapFiltered minMap maxMap min max avg
avgWeighted any any_value anyHeavy anyLast first_value last_value argMin argMax uniq uniqExact uniqCombined
uniqCombined64 uniqHLL12 uniqTheta quantile quantiles quantileExact quantilesExact quantileExactLow quantileExactHigh
quantileExactWeighted quantileExactInclusive quantileExactExclusive quantilesExactInclusive quantilesExactExclusive
quantileTiming quantilesTiming quantileTimingWeighted quantileDeterministic quantileTDigest quantilesTDigest
quantileTDigestWeighted quantileBFloat16 quantileDD quantileInterpolatedWeighted quantileGK median medianExact
medianTDigest medianTiming medianDeterministic groupArray groupArrayLast groupArraySample groupArraySorted
groupArrayInsertAt groupArrayMovingSum groupArrayMovingAvg groupArrayIntersect groupUniqArray groupBitAnd groupBitOr
groupBitXor groupBitmap topK topKWeighted approx_top_k approx_top_sum stddevPop stddevSamp stddev_pop stddev_samp
varPop varSamp var_pop var_samp std variance covarPop covarSamp covar_pop covar_samp corr skewPop skewSamp kurtPop
kurtSamp entropy exponentialMovingAverage simpleLinearRegression rankCorr deltaSum deltaSumTimestamp histogram
sequenceMatch sequenceCount sequenceNextNode windowFunnel retention intervalLengthSum boundingRatio contingency
cramersV theilsU mannWhitneyUTest studentTTest welchTTest maxIntersections maxIntersectionsPosition sparkbar
singleValueOrNull"""

_WINDOW = """row_number rank dense_rank denseRank percent_rank percentRank cume_dist ntile nth_value lagInFrame
leadInFrame lag lead nonNegativeDerivative"""

_NAMES = (
    f"{_CONDITIONAL} {_CONVERSIONS} {_CASTS} {_NUMERIC} {_TEXT} {_HASH} {_TEMPORAL} {_INTERVALS} {_NESTED} {_JSON}"
    f" {_NET} {_OTHER} {_AGGREGATE} {_WINDOW}"
)
_COMBINATORS = ("If", "Distinct", "OrNull", "OrDefault", "Array", "Map", "ForEach", "Merge", "ArgMin", "ArgMax")

_TEXT_OF = "toString(c)"
_LEAST = f"CASE WHEN lengthUTF8({_TEXT_OF}) >= :least THEN {{shown}} WHEN c IS NULL THEN NULL ELSE '***' END"
_END = f"substringUTF8({_TEXT_OF}, lengthUTF8({_TEXT_OF}) - :{{count}} + 1)"

_NO_NULL = {"ARRAY", "MAP", "STRUCT", "NESTED", "LOWCARDINALITY", "JSON", "OBJECT", "VARIANT", "DYNAMIC"}


def _nullable(kind: exp.DataType) -> exp.DataType | None:
    """A plain type may hold NULL only inside Nullable(…); a composite one never."""
    if kind.this.name == "LOWCARDINALITY" and kind.expressions:
        kind = kind.expressions[0].copy()
    if kind.this.name in _NO_NULL:
        return None
    kind.set("nullable", True)
    return kind


def _joined(node: exp.Expression) -> exp.Expression:
    """ANY INNER JOIN is ANY JOIN; the generator would write the two words in the other order each time."""
    strictness = {node.args.get("side"), node.args.get("kind")} - {"INNER"}
    if "INNER" in {node.args.get("side"), node.args.get("kind")} and strictness <= {"ANY", "ALL"}:
        node.set("side", None)
        node.set("kind", next(iter(strictness), "INNER"))
    return node


_FUNCTIONS = words(_NAMES.lower())
_SPELLED = {name.lower(): name for name in sorted(words(_NAMES)) if name != name.lower()}


def _respell(text: str, tokens: list[Token]) -> str:
    """The generator writes some names in capitals, which this engine does not take for all of them."""
    pieces: list[str] = []
    end = 0
    for token, following in pairwise(tokens):
        lower = token.text.lower()
        if following.token_type is TokenType.L_PAREN and lower in _FUNCTIONS and text[token.start] not in {'"', "'"}:
            pieces += [text[end : token.start], _SPELLED.get(lower, lower)]
            end = token.end + 1
    return "".join([*pieces, text[end:]])


CLICKHOUSE: Final = Dialect(
    name="clickhouse",
    grammar=ClickHouse,
    case="exact",
    default_schema="default",
    parameter=":",
    inline_parameters=True,  # the engine's own {name:Type} would need a type for each
    functions=_FUNCTIONS,
    spelled=_SPELLED,
    respell=_respell,
    translated={exp.Join: _joined},
    in_reads_tables=True,
    aggregates=words(_AGGREGATE.lower()),
    combinators=_COMBINATORS,
    bare_functions=frozenset(),
    table_functions=words("numbers generateseries generate_series"),
    casts=words(
        """TEXT VARCHAR CHAR FIXEDSTRING BOOLEAN TINYINT SMALLINT INT BIGINT INT128 INT256 UTINYINT USMALLINT UINT
        UBIGINT UINT128 UINT256 FLOAT DOUBLE DECIMAL DECIMAL32 DECIMAL64 DECIMAL128 DECIMAL256 DATE DATE32 DATETIME
        DATETIME64 TIMESTAMP UUID IPV4 IPV6 LOWCARDINALITY ARRAY MAP STRUCT INTERVAL"""
    ),
    nodes={
        exp.AnonymousAggFunc: words("this expressions"),
        exp.CombinedAggFunc: words("this expressions"),
        exp.ParameterizedAgg: words("this expressions params"),
        exp.CombinedParameterizedAgg: words("this expressions params"),
        exp.CTE: words("scalar"),
        exp.Extract: words("this expression"),
        exp.Columns: words("this unpack"),
        exp.DataType: words("nullable"),
        exp.Group: words("totals"),
        exp.HexString: words("this is_integer"),
        exp.In: words("is_global"),
        exp.Join: words("expressions global_"),
        exp.Limit: words("expressions"),
        exp.LimitOptions: words("percent rows with_ties"),
        exp.Ordered: words("with_fill"),
        exp.WithFill: words("from_ to step"),
        exp.Qualify: words("this"),
        exp.Array: words("expressions"),
        exp.IntDiv: words("this expression"),
        exp.RegexpLike: words("this expression"),
        exp.Explode: words("this"),
    },
    openers=words(
        """nullable lowcardinality fixedstring string datetime datetime64 decimal decimal32 decimal64 decimal128
        decimal256 tuple array map bool"""
    ),
    keywords=frozenset({"ANY", "ARRAY", "PASTE", "GLOBAL"}),
    masks={
        "redact_text": "'***'",
        "null": "CAST(NULL AS {type})",
        "untyped_null": "NULL",
        "constant": ":value",
        "partial_last": _LEAST.format(shown=f"concat('***', {_END.format(count='keep')})"),
        "partial": _LEAST.format(
            shown=f"concat(substringUTF8({_TEXT_OF}, 1, :first), '***', {_END.format(count='last')})"
        ),
        "email": (
            f"CASE WHEN position({_TEXT_OF}, '@') > 0 THEN concat('***@', extract({_TEXT_OF}, '@([^@]*)$'))"
            " WHEN c IS NULL THEN NULL ELSE '***' END"
        ),
        # toStartOfYear gives a Date, which knows no year before 1970.
        "year_date": "CAST(makeDate32(toYear(c), 1, 1) AS {type})",
        "year_timestamp": "CAST(makeDate32(toYear(c), 1, 1) AS {type})",
        "month_date": "CAST(makeDate32(toYear(c), toMonth(c), 1) AS {type})",
        "month_timestamp": "CAST(makeDate32(toYear(c), toMonth(c), 1) AS {type})",
        # Numbers stay Float64: a cast back raises for some values.
        "bucket": "floor(toFloat64(c) / :width) * :width",
        "round": "round(toFloat64(c), :digits)",
        "round_to": "round(toFloat64(c) / :unit) * :unit",
    },
    text_type="Nullable(String)",
    derived_columns=False,
    column_lists=False,
    null_type=_nullable,
    strings=(exp.RawString,),
    hidden_columns=words(
        """_part _part_index _part_uuid _partition_id _partition_value _part_offset _part_data_version
        _part_starting_offset _sample_factor _block_number _block_offset _row_exists _table _database _file _path
        _size _time _etag _key _shard_num _topic _offset _timestamp _partition _headers _disk_name"""
    ),
)
