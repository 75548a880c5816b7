"""What `Dialect.derived` finds for each dialect: to look for it takes seconds in all."""

from collections.abc import Mapping
from typing import Final

# Generated: python -m agent.dialects.reference
TYPED: Final[Mapping[str, str]] = {
    "duckdb": """
Abs Acos Acosh AnyValue ApproxDistinct ApproxQuantile ArgMax ArgMin Array ArrayAgg ArrayAppend ArrayConcat
ArrayContains ArrayContainsAll ArrayDistinct ArrayFilter ArrayIntersect ArrayMax ArrayMin ArrayOverlaps ArrayPosition
ArrayPrepend ArrayReverse ArraySize ArraySlice ArraySort ArrayToString Ascii Asin Asinh Atan Atan2 Atanh Avg BitLength
BitwiseAndAgg BitwiseOrAgg BitwiseXorAgg Cast Cbrt Ceil Chr Coalesce Columns Concat ConcatWs Contains Corr Cos Cosh
Cot Count CountIf CovarPop CovarSamp CumeDist CurrentDate CurrentTime CurrentTimestamp Date DateAdd DateBin DateDiff
DateFromParts DateTrunc Day DayOfMonth DayOfWeek DayOfWeekIso DayOfYear Dayname Decode Degrees DenseRank Encode
EndsWith EuclideanDistance Exp Explode Extract Factorial First FirstValue Flatten Floor Format FromBase64
GenerateSeries Greatest GroupConcat Grouping GroupingId Hex Hour If IsInf IsNan JSONArray JSONExtract
JSONExtractScalar JSONKeys JSONObject JSONType JarowinklerSimilarity Kurtosis Lag Last LastDay LastValue Lead Least
Left Length Levenshtein Ln Localtime Localtimestamp Log LogicalAnd LogicalOr Lower LowerHex MD5 Map MapFromEntries
MapKeys Max Median Min Minute Mode Month Monthname NthValue Ntile Nullif Overlay Pad ParseJSON PercentRank
PercentileCont PercentileDisc Pi Pow Quantile Quarter Radians Rand Rank RegexpExtract RegexpExtractAll RegexpFullMatch
RegexpLike RegexpReplace RegexpSplit RegrAvgx RegrAvgy RegrCount RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy
RegrSyy Repeat Replace Reverse Right Round RowNumber SHA SHA2 Second Sign Sin Sinh Skewness Split SplitPart Sqrt
StartsWith Stddev StddevPop StddevSamp StrPosition StrToTime Struct StructExtract Substring Sum Tan Tanh TimeFromParts
TimeToStr TimeToUnix Timestamp TimestampFromParts TimestampTrunc ToBase64 ToDays Transform Translate Trim Trunc Try
Typeof Unhex Unicode UnixToTime Upper Uuid Variance VariancePop Week WeekOfYear Year
""",
    "sqlite": """
Abs Acos Acosh Asin Asinh Atan Atan2 Atanh Avg Cast Ceil Chr Coalesce Concat ConcatWs Cos Cosh Count CumeDist
CurrentDate CurrentTime CurrentTimestamp Date Degrees DenseRank Exp FirstValue Floor Format Greatest GroupConcat Hex
If JSONArrayAgg JSONExtract JSONExtractScalar JSONObject JSONObjectAgg JSONRemove JSONSet JSONType Lag LastValue Lead
Least Length Ln Log Lower LowerHex Max Min NthValue Ntile Nullif PercentRank Pi Pow Radians Rand Rank Replace Round
RowNumber Sign Sin Sinh Soundex Sqrt StrPosition Substring Sum Tan Tanh TimeToStr Trim Trunc TsOrDsToTimestamp Typeof
Unhex Unicode Upper
""",
    "postgres": """
AnyValue Array ArrayAgg Avg Cast Coalesce Corr Count CovarPop CovarSamp CurrentDate CurrentTime CurrentTimestamp
Extract Greatest GroupConcat Grouping Hex JSONExtract JSONObject Least Localtime Localtimestamp LogicalAnd LogicalOr
Max Min Normalize Nullif Overlay PercentileCont PercentileDisc Stddev StddevPop StddevSamp StrPosition Substring Sum
Trim Variance VariancePop
""",
    "redshift": """
AnyValue Array ArrayAgg Avg Cast Coalesce Corr Count CovarPop CovarSamp CurrentDate CurrentTime CurrentTimestamp
Extract Greatest GroupConcat Grouping JSONExtract Least LogicalAnd LogicalOr LowerHex Max Median Min Normalize Nullif
Overlay PercentileCont PercentileDisc Stddev StddevPop StddevSamp StrPosition Substring Sum Trim TsOrDsAdd TsOrDsDiff
Variance VariancePop
""",
    "mysql": """
Abs Acos AddMonths AnyValue Array Ascii Asin Atan Atan2 Avg BitLength BitwiseAndAgg BitwiseCount BitwiseOrAgg
BitwiseXorAgg Cast Ceil Chr Coalesce Concat ConcatWs ConvertTimezone Cos Cot Count CumeDist CurrentDate CurrentTime
CurrentTimestamp DateAdd DateDiff DateSub Day DayOfMonth DayOfWeek DayOfYear Dayname Degrees DenseRank Elt Exp Extract
FirstValue Floor FromBase64 Greatest GroupConcat Grouping Hex Hour If JSONArrayAppend JSONArrayInsert JSONExtract
JSONKeys JSONObject JSONObjectAgg JSONRemove JSONSet JSONType Lag LastDay LastValue Lead Least Left Length Ln
Localtime Localtimestamp Log Lower LowerHex MD5 Max Min Minute Month NthValue Ntile Nullif NumberToStr Nvl2 Pad
PercentRank PercentileCont PercentileDisc Pi Pow Quarter Radians Rand Rank RegexpInstr RegexpLike Repeat Replace
Reverse Right Round RowNumber SHA SHA2 Second Sign Sin Soundex Space Sqrt StddevPop StddevSamp StrPosition StrToDate
Stuff Substring SubstringIndex Sum Tan Time TimeFromParts TimeToStr Timestamp TimestampAdd TimestampDiff ToBase64 Trim
Trunc TsOrDsToDate TsOrDsToTimestamp Unhex UnixToTime Upper UtcTimestamp Variance VariancePop Week WeekOfYear
WeightString Year
""",
    "tsql": """
Abs Acos Ascii Asin Atan Atan2 Avg Cast Ceil Chr Coalesce Concat ConcatWs Convert Cos Cot Count CumeDist
CurrentTimestamp CurrentTimestampLTZ DateAdd DateDiff DateFromParts Day Degrees DenseRank Exp Extract FirstValue Floor
Greatest GroupConcat Grouping GroupingId Hex If JSONExtract JSONExtractScalar Lag LastValue Lead Least Left Length Ln
Log Lower LowerHex Max Min Month Ntile Nullif NumberToStr PercentRank PercentileCont PercentileDisc Pi Pow Radians
Rand Rank Repeat Replace Reverse Right Round RowNumber Sign Sin Soundex Space Sqrt Stddev StrPosition Stuff Substring
Sum Tan TimeFromParts TimeStrToTime TimestampFromParts TimestampTrunc Translate Trim TsOrDsToDate Unicode Upper Uuid
Year
""",
    "snowflake": """
Abs Acos Acosh AddMonths And AnyValue ApproxDistinct ApproxQuantile ApproxTopK ArgMax ArgMin Array ArrayAgg
ArrayAppend ArrayCompact ArrayConcat ArrayConstructCompact ArrayContains ArrayDistinct ArrayExcept ArrayFilter
ArrayInsert ArrayIntersect ArrayMax ArrayMin ArrayOverlaps ArrayPosition ArrayPrepend ArrayRemove ArrayRemoveAt
ArraySize ArraySlice ArraySort ArrayToString ArrayUnionAgg ArrayUniqueAgg ArraysZip Ascii Asin Asinh Atan Atan2 Atanh
Avg Base64DecodeString Base64Encode BitLength BitwiseAndAgg BitwiseOrAgg BitwiseXorAgg Booland Boolnot Boolor
BoolxorAgg ByteLength Cast Cbrt Ceil CheckJson Chr Coalesce Collate Collation Concat ConcatWs Contains ConvertTimezone
Corr Cos Cosh Cot Count CountIf CovarPop CovarSamp CumeDist CurrentDate CurrentTimestamp DateAdd DateDiff
DateFromParts DateTrunc Day DayOfMonth DayOfWeek DayOfWeekIso DayOfYear Dayname Decode DecodeCase Degrees DenseRank
EndsWith EqualNull Exp Extract Factorial FirstValue Flatten Floor GenerateSeries GetExtract GetIgnoreCase Greatest
GroupConcat Grouping GroupingId HashAgg Hex HexDecodeString Hll Hour If Initcap IsArray IsNullValue JSONExtract
JSONExtractScalar JSONFormat JSONKeys JSONObject JarowinklerSimilarity Kurtosis Lag LastDay LastValue Lead Least Left
Length Levenshtein Ln Localtime Log LogicalAnd LogicalOr Lower LowerHex MD5 MapCat MapContainsKey MapKeys MapSize Max
Median Min Minhash Minute Mode Month Monthname MonthsBetween NextDay NthValue Ntile Nullif Nvl2 ObjectAgg ObjectInsert
Or Pad ParseIp ParseJSON PercentRank PercentileCont PercentileDisc Pi Pow PreviousDay Quarter Radians Rand Randstr
Rank Reduce RegexpCount RegexpExtract RegexpExtractAll RegexpInstr RegexpLike RegexpReplace RegrAvgx RegrAvgy
RegrCount RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy RegrSyy RegrValx RegrValy Repeat Replace Reverse Right Round
RowNumber RtrimmedLength SHA SHA2 Second Sign Sin Sinh Skewness Soundex Space Split SplitPart Sqrt StarMap StartsWith
Stddev StddevPop StrPosition StrToTime StripNullValue Strtok StrtokToArray Struct Stuff Substring Sum Tan Tanh Time
TimeAdd TimeFromParts TimeSlice TimestampFromParts TimestampLtzFromParts TimestampTrunc TimestampTzFromParts ToArray
ToBinary ToBoolean ToChar ToDouble ToNumber ToVariant Transform Translate Trim Trunc TsOrDsToDate TsOrDsToTime Typeof
Unicode Uniform Upper Uuid Variance VariancePop Week WeekOfYear WidthBucket XMLGet Xor Year YearOfWeek YearOfWeekIso
""",
    "bigquery": """
Abs Acos Acosh AnyValue ApproxDistinct ApproxQuantiles ApproxTopK ApproxTopSum ArgMax ArgMin Array ArrayAgg
ArrayConcat ArrayConcatAgg ArrayFirst ArrayLast ArrayReverse ArraySize ArraySlice ArrayToString Ascii Asin Asinh Atan
Atan2 Atanh Avg BitwiseAndAgg BitwiseCount BitwiseOrAgg BitwiseXorAgg ByteLength Cast Cbrt Ceil Chr Coalesce
CodePointsToBytes CodePointsToString Concat Contains Corr Cos Cosh Cot Coth Count CountIf CovarPop CovarSamp Csc Csch
CumeDist CurrentDate CurrentDatetime CurrentTime CurrentTimestamp Date DateAdd DateDiff DateFromParts DateFromUnixDate
DateSub DateTrunc Datetime DatetimeAdd DatetimeDiff DatetimeSub DatetimeTrunc DenseRank EndsWith Exp Extract
FarmFingerprint FirstValue Float64 Floor Format FromBase32 FromBase64 GenerateDateArray GenerateSeries
GenerateTimestampArray Greatest GroupConcat Grouping Hex If Initcap Int64 IsInf IsNan JSONArray JSONBool JSONExtract
JSONExtractArray JSONExtractScalar JSONFormat JSONKeysAtDepth JSONObject JSONRemove JSONSet JSONStripNulls JSONType
JSONValueArray JustifyDays JustifyHours JustifyInterval Lag LastDay LastValue LaxBool LaxFloat64 LaxInt64 LaxString
Lead Least Left Length Levenshtein Ln Log LogicalAnd LogicalOr Lower LowerHex MD5Digest MakeInterval Max Min Normalize
NthValue Ntile Nullif Pad ParseBignumeric ParseDatetime ParseJSON ParseNumeric ParseTime PercentRank PercentileCont
PercentileDisc Pow Rand RangeBucket Rank RegexpExtract RegexpExtractAll RegexpInstr RegexpLike RegexpReplace Repeat
Replace Reverse Right Round RowNumber SHA1Digest SHA2Digest SafeAdd SafeConvertBytesToString SafeDivide SafeMultiply
SafeNegate SafeSubtract Sec Sech Sign Sin Sinh Soundex Split Sqrt StartsWith Stddev StddevPop StddevSamp StrPosition
StrToDate StrToTime String Struct Substring Sum Tan Tanh Time TimeAdd TimeDiff TimeFromParts TimeSub TimeToStr
TimeTrunc Timestamp TimestampAdd TimestampDiff TimestampFromParts TimestampSub TimestampTrunc ToBase32 ToBase64
ToCodePoints Translate Trim Trunc TsOrDsToDate TsOrDsToDatetime TsOrDsToTime TsOrDsToTimestamp Unhex Unicode UnixDate
UnixMicros UnixMillis UnixSeconds UnixToTime Unnest Upper Uuid Variance VariancePop
""",
    "trino": """
Abs Acos AnyValue ApproxDistinct ApproxQuantile ArgMax ArgMin Array ArrayAgg ArrayContains ArrayDistinct ArrayExcept
ArrayFilter ArrayIntersect ArrayMax ArrayMin ArrayPosition ArrayRemove ArraySize ArraySlice ArraySort ArrayToString
Asin Atan Atan2 Avg BitwiseAndAgg BitwiseOrAgg Cast Cbrt Ceil Chr Coalesce Concat ConcatWs Corr Cos Cosh Count CountIf
CovarPop CovarSamp CumeDist CurrentDate CurrentTime CurrentTimestamp Date DateAdd DateDiff DateTrunc Day DayOfMonth
DayOfWeekIso DayOfYear Decode Degrees DenseRank Encode EndsWith Exp Extract FirstValue Flatten Floor Format FromBase
FromBase64 FromISO8601Date FromISO8601Timestamp GenerateSeries Greatest GroupConcat Grouping Hex Hour If IsNan
JSONArrayContains JSONExtract JSONExtractScalar JSONFormat Kurtosis Lag LastDay LastValue Lead Least Length
Levenshtein Ln Localtime Localtimestamp Log LogicalAnd LogicalOr Lower LowerHex MD5Digest Map MapFromEntries MapKeys
Max Min Minute Month Normalize NthValue Ntile Nullif Pad ParseDatetime ParseJSON PercentRank Pi Pow Quarter Radians
Rand Rank Reduce RegexpCount RegexpExtract RegexpExtractAll RegexpLike RegexpReplace RegexpSplit RegrIntercept
RegrSlope Repeat Replace Reverse Round RowNumber SHA SHA2Digest Second Shuffle Sign Sin Sinh Skewness Soundex Split
SplitPart Sqrt StartsWith Stddev StddevPop StddevSamp StrPosition StrToMap StrToTime Struct Substring Sum Tan Tanh
TimeToStr TimeToUnix TimestampTrunc ToBase64 Transform Translate Trim Trunc Try Typeof Unhex UnixToTime Unnest Upper
Uuid Variance VariancePop WeekOfYear WidthBucket Year YearOfWeek
""",
    "clickhouse": """
Abs Acos And AnyValue ApproxDistinct ApproxTopK ArgMax ArgMin Array ArrayConcat ArrayContains ArrayDistinct
ArrayFilter ArrayMax ArrayMin ArrayReverse ArraySlice ArraySum Ascii Asin Atan Atan2 Avg BitwiseAndAgg BitwiseOrAgg
BitwiseXorAgg Cast Cbrt Ceil Chr CityHash64 Coalesce Concat ConcatWs Corr Cos Cosh CosineDistance Count CountIf
CovarPop CovarSamp CumeDist Date DateAdd DateDiff DateSub DateTrunc DayOfWeekIso Degrees DenseRank EndsWith Exp
Explode Factorial FirstValue Flatten Floor Format Greatest Grouping Hex If Initcap IsInf IsNan JSONExtract
JSONExtractScalar Lag LastDay LastValue Lead Least Left Length Levenshtein Ln Log Lower LowerHex MD5Digest Max Min
Monthname NthValue Ntile Nullif Or Pad ParseDatetime PercentRank Pi Pow Quantile Radians Rand Rank RegexpExtract
RegexpLike RegexpReplace RegexpSplit Repeat Replace Reverse Right Round RowNumber SHA SHA2 Sign Sin Sinh Soundex Space
Split Sqrt StarMap StartsWith StddevPop StddevSamp StrPosition Struct Substring SubstringIndex Sum Tan Tanh TimeToStr
TimestampAdd TimestampSub TimestampTrunc Transform Translate Trim Trunc Typeof Unhex Upper VarMap Variance VariancePop
WeekOfYear WidthBucket Xor YearOfWeekIso
""",
    "oracle": """
Abs Acos AddMonths AnyValue Array Ascii Asin Atan Atan2 Avg Cast Ceil Chr Coalesce Concat Corr Cos Cosh Count CovarPop
CovarSamp CumeDist CurrentDate CurrentTimestamp Decode DecodeCase DenseRank Exp Extract FirstValue Floor Greatest
GroupConcat Grouping GroupingId Hex Initcap JSONArray JSONArrayAgg JSONExists JSONExtract JSONObject JSONObjectAgg Lag
LastDay LastValue Lead Least Length Ln Localtimestamp Log Lower LowerHex Max Median Min MonthsBetween Nanvl NextDay
NthValue Ntile Nullif Nvl2 Pad PercentRank PercentileCont PercentileDisc Pow Rank RegexpCount RegexpInstr RegexpLike
RegexpReplace RegexpSubstr RegrAvgx RegrAvgy RegrCount RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy RegrSyy Replace
Reverse Round RowNumber Sign Sin Sinh Soundex Sqrt StandardHash Stddev StddevPop StddevSamp StrPosition StrToDate
StrToTime Substring Sum Systimestamp Tan Tanh ToChar ToNumber Translate Trim Upper Variance WidthBucket
""",
    "databricks": """
Abs Acos Acosh AddMonths AnyValue ApproxDistinct ApproxQuantile ApproxTopK ArgMax ArgMin Array ArrayAgg ArrayAppend
ArrayCompact ArrayContains ArrayDistinct ArrayExcept ArrayFilter ArrayInsert ArrayIntersect ArrayMax ArrayMin
ArrayPosition ArrayPrepend ArrayRemove ArraySize ArraySlice ArraySort ArrayToString ArrayUniqueAgg ArraysZip Ascii
Asin Asinh Atan Atan2 Atanh Avg BitLength BitmapBitPosition BitmapBucketNumber BitmapConstructAgg BitmapCount
BitmapOrAgg BitwiseAndAgg BitwiseCount BitwiseOrAgg BitwiseXorAgg Cast Cbrt Ceil Chr Coalesce Collation Concat
ConcatWs Contains ConvertTimezone Corr Cos Cosh Cot Count CountIf CovarPop CovarSamp Csc CumeDist CurrentDate
CurrentTimestamp CurrentTimezone DateDiff DateFromUnixDate Day DayOfMonth DayOfWeek DayOfYear Dayname Decode
DecodeCase Degrees DenseRank Elt Encode EndsWith EqualNull Exists Exp Explode Extract Factorial FirstValue Flatten
Floor Format FromBase64 FromJson GenerateSeries Getbit Greatest GroupConcat Grouping GroupingId Hex Hour If Initcap
Inline IsNan JSONExtract JSONFormat JSONKeys Kurtosis Lag LastDay LastValue Lead Least Left Length Levenshtein Ln Log
LogicalAnd LogicalOr Lower LowerHex MD5 MakeInterval Map MapContainsKey MapFromEntries MapKeys Max Median Min Minute
Mode Month Monthname MonthsBetween Nanvl Negative NextDay NthValue Ntile Nullif Nvl2 Overlay Pad ParseJSON ParseUrl
PercentRank Pi Posexplode PosexplodeOuter Pow Quarter Radians Rand Randn Rank Reduce RegexpCount RegexpExtract
RegexpExtractAll RegexpInstr RegexpLike RegexpReplace RegexpSplit RegexpSubstr RegrAvgx RegrAvgy RegrCount
RegrIntercept RegrR2 RegrSlope RegrSxx RegrSxy RegrSyy Repeat Replace Reverse Right Rint Round RowNumber SHA SHA2
SafeAdd SafeDivide SafeMultiply SafeSubtract Sec Second Shuffle Sign Sin Sinh Skewness Soundex Space SplitPart Sqrt
StDistance StPoint Stack StarMap StartsWith Stddev StddevPop StddevSamp StrPosition StrToMap StrToTime StrToUnix
Struct Substring SubstringIndex Sum Tan Tanh TimeStrToTime TimeToStr TimestampAdd TimestampDiff TimestampFromParts
ToBase64 ToBinary ToChar ToNumber Transform Translate Trim TsOrDsAdd TsOrDsToDate Typeof Unhex Uniform UnixDate
UnixMicros UnixMillis UnixSeconds UnixToStr Upper Uuid VarMap Variance VariancePop WeekOfYear WidthBucket Year
_ExplodeOuter
""",
}
