"""Is a chart only a chart? Bytes of a foreign process -> why not, or "".

A chart is opened in a browser or a notebook of whoever asked: it must not fetch, link, run or hide anything.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from agent.core.job import ChartFormat
from agent.sandbox.exchange import png, svg
from agent.sandbox.exchange.types import Output
from agent.wire import strictjson
from agent.wire.errors import WireError

PLOTLY: Final = "application/vnd.plotly.v1+json"
PNG: Final = "image/png"
SVG: Final = "image/svg+xml"

_VEGA = re.compile(r"application/vnd\.vegalite\.v[1-9]\d?\+json", re.ASCII)

# Where a string that holds an address is text to read, and never followed. Keys of vega-lite.
_PROSE = {"title", "subtitle", "text", "description", "name", "field"}
_VEGA_DATA = frozenset({"values", "datasets"})
# `url` and `href` are also channels of a mark; `usermeta` configures the page that embeds a chart.
# `pivot` makes names of values.
_VEGA_KEYS = {"url", "href", "src", "usermeta", "image", "loader", "pivot"}
# A tooltip draws its member `image` as a picture from an address: by an expression or a name, also of the data.
_CURSOR = re.compile(r"[a-z-]+", re.ASCII)
_STYLE = re.compile(r"\burl\s*\(", re.IGNORECASE)
_BUILDS = re.compile(r"\bimage\b|\\[xu0-7]", re.IGNORECASE)
_QUOTES = re.compile(r"[\\\[\]\s'\"]")
# A control that sets a parameter is an <input>, of which every other member becomes an attribute: `onfocus` too.
_CONTROL = frozenset({"input", "name", "options", "labels", "min", "max", "step", "debounce", "placeholder", "legend"})
_CONTROLS = {
    "checkbox",
    "radio",
    "range",
    "select",
    "text",
    "number",
    "search",
    "color",
    "date",
    "month",
    "week",
    "time",
}
# `src` and `bdata`: columns by reference and as opaque bytes. Tiles and images are fetched from a server.
_PLOTLY_KEYS = {"bdata", "images", "mapbox", "map", "src", "xsrc", "ysrc", "config"}
# Buttons change members by their path: `images[0].source`.
_STEPS = re.compile(r"[.\[\]]+")
# The style of a <span> stands in the page as it is, its entities read: colours and fonts need no function but these.
_STYLED = re.compile(r"<[^<>]*\bstyle\s*=[^<>]*>?", re.IGNORECASE)
_COLOUR = re.compile(r"\b(?:rgb|hsl)a?\([\d\s.,%]*\)", re.IGNORECASE)
_REACHING = re.compile(r"[(\\&@]")
TILES: Final = {f"{kind}{where}" for kind in ("scatter", "choropleth", "density") for where in ("map", "mapbox")} | {
    "map",
    "mapbox",
}
"""What plotly draws over a map that it fetches piece by piece."""

# These patterns meet texts of any length: none may look at a place more than once or twice.
_ADDRESS = re.compile(r"[a-z0-9+.\-]://|^\s*//|\b(?:javascript|vbscript|data|blob|file)\s*:", re.IGNORECASE)
MARKUP: Final = re.compile(
    r"<\s*(?:/\s*)?(?:a|script|img|image|iframe|object|embed|svg|style|link|meta|base|form|video|audio)\b",
    re.IGNORECASE,
)
"""Tags that plotly's own small markup may not hold: a link at the least."""


def format_of(media_type: str) -> ChartFormat | None:
    """Which format it is; None for a type that no chart has."""
    if _VEGA.fullmatch(media_type):
        return "vega-lite"
    found: dict[str, ChartFormat] = {PLOTLY: "plotly", PNG: "png", SVG: "svg"}
    return found.get(media_type)


def problem(output: Output) -> str:
    """Why it may not leave, in words that hold none of its content; "" when it may."""
    match format_of(output.media_type):
        case "png":
            return png.problem(output.data)
        case "svg":
            return svg.problem(output.data)
        case "vega-lite" | "plotly" as name:
            try:
                spec = strictjson.loads(output.data, len(output.data))
            except WireError:
                return "it is not strict JSON"
            return vega(spec) if name == "vega-lite" else plotly(spec)
        case None:
            return "its media type is none of a chart"


def vega(spec: Any) -> str:
    """A vega-lite specification whose data is inside, and that leads nowhere."""
    if not isinstance(spec, dict) or not _schema_is_own(spec.get("$schema")):
        return "it is not a vega-lite specification"
    return next(filter(None, (_vega_member(key, value) for key, value in _walk(spec, skip=_VEGA_DATA))), "")


def _vega_member(key: str, value: Any) -> str:
    if key in _VEGA_KEYS:
        return f"a specification may not hold {key}"
    if key == "bind" and not _binds(value):
        return "a specification may not hold this control"
    if key == "cursor" and not (isinstance(value, str) and _CURSOR.fullmatch(value)):
        return "a specification may hold no cursor but those that have a name"
    if isinstance(value, dict) and any(map(_named_image, (value[name] for name in _VEGA_DATA if name in value))):
        return "a specification may hold no column called image: a tooltip would fetch it"
    return _vega_text(key, value) if isinstance(value, str) else ""


def _vega_text(key: str, value: str) -> str:
    if _QUOTES.sub("", value) == "image" or (key == "content" and value == "data"):
        return "a specification may hold no images, nor what a tooltip would take for one"
    if key in {*_PROSE, "$schema"}:
        return ""
    if _ADDRESS.search(value) or _STYLE.search(value):
        return "a specification may not hold an address"
    return "an expression may hold no image, and no character by its number" if _BUILDS.search(value) else ""


def _named_image(data: Any) -> bool:
    """Whether a column is called as the picture of a tooltip, or may be: of data that is one text."""
    if isinstance(data, str):
        return _BUILDS.search(data) is not None
    return any(_QUOTES.sub("", key) == "image" for key, _ in _walk(data, skip=frozenset()))


def _binds(value: Any) -> bool:
    """Whether it is a plain control, several by the names of their fields, or something of the chart itself."""
    if not isinstance(value, dict):
        return isinstance(value, str)
    if value and all(isinstance(inner, dict) for inner in value.values()):
        return all(map(_is_control, value.values()))
    return _is_control(value)


def _is_control(value: dict[str, Any]) -> bool:
    kind = value.get("input", "text")
    return not value.keys() - _CONTROL and isinstance(kind, str) and kind in _CONTROLS


def _schema_is_own(value: Any) -> bool:
    return isinstance(value, str) and bool(
        re.fullmatch(r"https://vega\.github\.io/schema/vega-lite/v\d+(\.\d+){0,2}\.json", value, re.ASCII)
    )


def plotly(spec: Any) -> str:
    """A plotly figure whose data is inside, and that leads nowhere."""
    if not isinstance(spec, dict) or not isinstance(spec.get("data"), list) or set(spec) - {"data", "layout", "frames"}:
        return "it is not a plotly figure"
    for path, value in _walk(spec, skip=frozenset()):
        steps = [step for step in _STEPS.split(path) if step and not step.isdecimal()]
        if value and (named := next((step for step in steps if step in _PLOTLY_KEYS), "")):
            return f"a figure may not hold {named}"
        if isinstance(value, str) and (why := _plotly_text(steps[-1] if steps else "", value)):
            return why
    return ""


def _plotly_text(key: str, value: str) -> str:
    if key == "type" and (value == "image" or value in TILES):
        return "a figure may not hold images or tiles"
    if MARKUP.search(value) or any(_REACHING.search(_COLOUR.sub("", tag)) for tag in _STYLED.findall(value)):
        return "a figure may not hold links or other markup"
    if key == "geojson" or (key in {"source", "style", "url", "href"} and _ADDRESS.search(value)):
        return "a figure may not hold an address"
    return ""


def _walk(spec: Any, skip: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Every value inside with its key; what is inside a list has the key of the list."""
    waiting = [("", spec)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, dict):
            waiting += [(str(name), inner) for name, inner in value.items() if name not in skip]
        elif isinstance(value, list):
            waiting += [(key, inner) for inner in value]
