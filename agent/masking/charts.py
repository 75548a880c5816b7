"""A chart that a program drew -> the same as the policy lets it out, or why it stays.

What a chart is made of was checked where it came in (`agent.sandbox.exchange.pictures`): it fetches, links and runs
nothing. Here it is counted, thinned, and looked at by the second net.
"""

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from agent.core.job import ChartFormat
from agent.masking.pii.values import ValueNet
from agent.wire import strictjson
from agent.wire.errors import WireError

_TYPES: Final[tuple[tuple[re.Pattern[str], ChartFormat, str], ...]] = (
    (re.compile(r"application/vnd\.vegalite\.v[1-9][0-9]?\+json"), "vega-lite", "vl.json"),
    (re.compile(r"application/vnd\.plotly\.v1\+json"), "plotly", "plotly.json"),
    (re.compile(r"image/png"), "png", "png"),
    (re.compile(r"image/svg\+xml"), "svg", "svg"),
)
_MARKUP: Final = re.compile(
    r"<\s*(?:/\s*)?(?:a|script|img|image|iframe|object|embed|svg|style|link|meta|base|form|video|audio)\b"
    r"|\b(?:javascript|vbscript)\s*:|data\s*:\s*text/html",
    re.IGNORECASE,
)
"""No specification may hold markup that a page would take for its own."""
_SHORT_LIST: Final = 32
"""Of a specification without its data: a longer list of plain values is data."""
_SHORT_TEXT: Final = 500
_DIGEST: Final = re.compile(r"data-[0-9a-f]{32}")
"""What altair calls data by: a digest of its rows, by which they could be guessed."""
_NAMED_BY_DATA: Final = frozenset(
    {"name", "legendgroup", "hovertemplate", "hovertext", "text", "texttemplate", "offsetgroup", "alignmentgroup"}
    | {"value", "delta", "gauge", "sizeref", "base", "x0", "y0", "dx", "dy"}
)
"""Of a trace: where a figure is split by a column, its values stand here; numbers that are data, or come of them."""
_LISTED_BY_DATA = frozenset({"data", "categoryarray", "ticktext", "tickvals", "labelalias", "sliders"})
"""Of a layout: the values of an axis in their order, and those that frames are named by."""
_SVG_WORDS: Final = re.compile(
    r"(?P<comment><!--.*?-->)"
    r"|(?P<key>\s(?:aria-[a-z]+|id|class|title|name|data-[a-z-]+)=)(?P<quote>[\"'])(?P<value>.*?)(?P=quote)"
    r"|(?P<before>>)(?P<text>[^<>]+)(?=<)",
    re.DOTALL,
)


class ChartError(Exception):
    """A chart that may not leave. The text says why, without any of its content."""


def format_of(media_type: str) -> ChartFormat | None:
    """Which format it is; None for a type that no chart has."""
    return next((name for pattern, name, _ in _TYPES if pattern.fullmatch(media_type)), None)


def file_name(number: int, media_type: str) -> str:
    """What the chart's member is called: `chart-1.png`. `media_type` is a chart's."""
    return next(f"chart-{number}.{end}" for pattern, _, end in _TYPES if pattern.fullmatch(media_type))


def points(media_type: str, data: bytes) -> int:
    """Data points of a specification; 0 of a picture. Raises ChartError."""
    match format_of(media_type):
        case "vega-lite":
            spec = _spec(data)
            return sum(map(_length, _vega_data(spec))) + _beside(
                inner for key, inner in _members(spec) if key not in {"values", "datasets"}
            )
        case "plotly":
            spec = _spec(data)
            traces = [*_dicts(spec.get("data"))]
            traces += [trace for frame in _dicts(spec.get("frames")) for trace in _dicts(frame.get("data"))]
            rest = {key: value for key, value in spec.items() if key not in {"data", "frames"}}
            return sum(map(_trace, traces)) + _beside(_lists(rest))
        case _:
            return 0


def cleaned(place: str, media_type: str, data: bytes, net: ValueNet, *, with_data: bool) -> bytes:
    """The chart as it may leave. Raises ChartError, and Refuse(policy.pii) where the net refuses."""
    match format_of(media_type):
        case "vega-lite" | "plotly" as name:
            spec = _spec(data)
            if not with_data:
                spec = _thin_vega(spec, {}) if name == "vega-lite" else _thin_plotly(spec)
            if any(_MARKUP.search(text) for text in _texts(spec)):
                raise ChartError("it holds markup")
            return strictjson.dumps(net.value(place, spec))
        case "svg" if with_data:
            return _svg(place, data, net)
        case "png" if with_data:
            return data
        case _:
            raise ChartError("its format may not leave")


def _spec(data: bytes) -> dict[str, Any]:
    try:
        spec = strictjson.loads(data, len(data))
    except WireError:
        raise ChartError("it is not strict JSON") from None
    if not isinstance(spec, dict):
        raise ChartError("it is no specification")
    return spec


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _length(values: Any) -> int:
    """Of inline data: a list of rows, text with a row a line or JSON, or an object with lists in it."""
    if isinstance(values, str):
        return max(map(values.count, ("\n", "\r", *((",",) if values.lstrip()[:1] in {"[", "{"} else ())))) + 1
    return max((len(one) for one in _lists(values)), default=1)


def _trace(trace: dict[str, Any]) -> int:
    """The longest of its arrays; of one with rows, as of a heat map, all cells. What hangs at a point is no point."""
    return max((_cells(value) for key, value in trace.items() if key != "customdata"), default=0)


def _cells(value: Any) -> int:
    if isinstance(value, dict):
        return max(map(_cells, value.values()), default=0)
    if isinstance(value, list):
        rows = sum(len(one) for one in value if isinstance(one, list))
        return max(len(value), rows, *(_cells(one) for one in value if isinstance(one, dict | list)), 0)
    return 0


def _beside(values: Iterable[Any]) -> int:
    """What long lists hold that are not where data is."""
    return sum(len(one) for one in values if isinstance(one, list) and _is_long(one))


def _vega_data(spec: Any) -> Iterator[Any]:
    """All inline data, wherever: of layers, of concatenated views, of lookups, and under `datasets`."""
    for key, value in _members(spec):
        if key == "values":
            yield value
        elif key == "datasets" and isinstance(value, dict):
            yield from value.values()


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object inside; what lies inside of inline data is not looked at."""
    if isinstance(value, list):
        for inner in value:
            yield from _members(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            if key not in {"values", "datasets"}:
                yield from _members(inner)


def _lists(value: Any) -> Iterator[list[Any]]:
    """Every list inside, at any depth."""
    if isinstance(value, list):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _lists(inner)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _thin_vega(value: Any, names: dict[str, str]) -> Any:
    """Without any inline data. `names` are the new ones of data that is called by its digest."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if key not in {"values", "datasets"}}
        return {key: _thin_vega(inner, names) for key, inner in kept.items() if not _is_long(inner)}
    if isinstance(value, list):
        return [_thin_vega(inner, names) for inner in value if not _is_long(inner)]
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return names.setdefault(value, f"data-{len(names) + 1}")
    return value


def _thin_plotly(spec: dict[str, Any]) -> dict[str, Any]:
    """Without any array of a trace, and without frames."""
    layout = spec.get("layout")
    return {
        "data": [_without_lists(trace) for trace in _dicts(spec.get("data"))],
        "layout": _thin_layout(layout) if isinstance(layout, dict) else {},
    }


def _without_lists(value: dict[str, Any]) -> dict[str, Any]:
    kept = {key: inner for key, inner in value.items() if key not in _NAMED_BY_DATA}
    plain = {key: inner for key, inner in kept.items() if not isinstance(inner, list) and not _is_long(inner)}
    return {
        key: _without_lists(inner) if isinstance(inner, dict) else inner
        for key, inner in plain.items()
        if not (isinstance(inner, dict) and "bdata" in inner)
    }


def _thin_layout(value: Any) -> Any:
    """A layout's own lists are short: ranges, colours, annotations. Templates may hold traces.

    An annotation without an arrow is the head of a facet: a value.
    """
    if isinstance(value, dict):
        return {
            key: _thin_layout([one for one in _dicts(inner) if one.get("showarrow", True)])
            if key == "annotations"
            else _thin_layout(inner)
            for key, inner in value.items()
            if key not in _LISTED_BY_DATA and not _is_long(inner) and not (isinstance(inner, dict) and "bdata" in inner)
        }
    if isinstance(value, list):
        return [_thin_layout(inner) for inner in value if not _is_long(inner)]
    return value


def _is_long(value: Any) -> bool:
    """Whether it is data rather than a way to draw it."""
    if isinstance(value, list):
        return len(value) > _SHORT_LIST
    return isinstance(value, str) and len(value) > _SHORT_TEXT


def _svg(place: str, data: bytes, net: ValueNet) -> bytes:
    """Words are looked at, coordinates are not; comments are left out: some hold the words that are drawn as paths."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ChartError("it is not UTF-8") from None
    if "<![CDATA[" in text or "<!ENTITY" in text:
        raise ChartError("it holds what cannot be looked at")

    def seen(match: re.Match[str]) -> str:
        if match["comment"] is not None:
            return ""
        if match["key"] is not None:
            return f"{match['key']}{match['quote']}{_shown(place, match['value'], net)}{match['quote']}"
        return f">{_shown(place, match['text'], net)}"

    return _SVG_WORDS.sub(seen, text).encode()


def _shown(place: str, written: str, net: ValueNet) -> str:
    plain = html.unescape(written)
    clean = net.text(place, plain)
    return written if clean == plain else html.escape(clean)
