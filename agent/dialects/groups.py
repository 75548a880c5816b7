"""A dialect's functions -> groups for a reader, by the grammar's classes and the words in their names."""

import re
from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from agent.dialects.base import Dialect

_WINDOWS: Final = re.compile(
    r"row_number|rank|dense_?rank|percent_?rank|cume_dist|ntile|lag|lead|first_value|last_value|nth_value|ratio_to_report"
    r"|(lag|lead)inframe|fill|nonnegativederivative"
)
_NAMED: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("Windows", re.compile(rf"^({_WINDOWS.pattern})$")),
    ("Aggregates", re.compile(
        r"^(any|approx_(?!percentile_ran)|arg_?m|avg|bit(and|or|xor)?_?agg|bitmap_(agg|construct)|bool(and|or)?_|collect_|corr"
        r"|count|covar|first$|group(_?array|_?concat|_?uniq|bit|ing)|kurt|last$|list_?agg|mad$|max|mean$|median|min(_by|map|$)"
        r"|mode$|percentile|quantile|regr_|skew|std|string_agg|sum|top_?k|uniq|var(iance|_|pop|samp)|json(b)?_(agg|group"
        r"|object_agg|arrayagg|objectagg)|array_agg|xmlagg|every|some$|entropy|histogram|favg|fsum|hll|stats_mode|simplelinear"
        r"|sequence(match|count|next)|windowfunnel|retention|(bit|logical)_(and|or|xor)$|checksum|total$|product$)"
    )),
    ("Dates and times", re.compile(
        r"(?<!up)date|time|year|quarter|month|week|day|hour|minute|second|epoch|age$|now|today|yesterday|interval|clock|julian"
        r"|century|decade|millen|era$|^extract$|strftime|strptime|to_(milli|micro|centur)|yyyymm|monday|tz_|from_tz|makedate"
    )),
    ("JSON", re.compile(r"json|variant|visitparam|^parse_|object_|^get_path")),
    ("Arrays, maps and tuples", re.compile(
        r"array|list|map|struct|tuple|row$|cardinality|element_at|flatten|explode|inline|unnest|sequence|generate_|range"
        r"|has(all|any|substr)?$|indexof|slice|transform|filter|aggregate|reduce|zip|stack|subscripts|bitmap|union_|^size$"
    )),
    ("Texts", re.compile(
        r"char|str|text|concat|upper|lower|case|trim|pad|like|regex|match|replace|translate|reverse|repeat|split|substr"
        r"|position|instr|locate|left|right|length|len$|format|quote|ascii|chr|unicode|utf8|initcap|soundex|similarity"
        r"|distance|levenshtein|hamming|md5|sha|hash|crc|base\d\d|hex|encode|decode|url|domain|token|ngram|starts|ends|prefix"
        r"|suffix|contains|search|space|overlay|printf|path|protocol|fragment|uuid|html|ipv|net\.|inet"
    )),
    ("Conversions", re.compile(r"^(to_|to[a-z0-9]|try_|cast|parse|accurate|safe_|convert|from_|typeof|reinterpret)")),
    ("Conditions", re.compile(
        r"^(coalesce|if|iff|iif|ifnull|nvl2?|nullif|null|is|decode|choose|greatest|least|multiif|zeroifnull|equal_null|and|or"
        r"|not|xor|empty|lnnvl|nanvl|div0|assumenotnull|equals|less|greater|case|booland|boolor|boolxor|boolnot)"
    )),
)  # fmt: skip
_REST: Final = "Numbers and others"


def grouped(dialect: Dialect) -> Mapping[str, list[str]]:
    """Every function once, in its engine's spelling; groups and names in a fixed order."""
    groups: dict[str, list[str]] = {title: [] for title in (*(title for title, _ in _NAMED), _REST)}
    for name in sorted(dialect.functions):
        groups[_group(name, dialect)].append(dialect.spelling(name))
    return {title: names for title, names in groups.items() if names}


def _group(name: str, dialect: Dialect) -> str:
    if _NAMED[0][1].search(name):
        return _NAMED[0][0]
    known = exp.FUNCTION_BY_NAME.get(name.upper())
    aggregate = known is not None and issubclass(known, exp.AggFunc)
    if name in dialect.aggregates or (not dialect.aggregates and (aggregate or _NAMED[1][1].search(name))):
        return _NAMED[1][0]
    return next((title for title, pattern in _NAMED[2:] if pattern.search(name)), _REST)
