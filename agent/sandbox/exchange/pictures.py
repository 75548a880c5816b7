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
_VEGA_KEYS = {"url", "href", "src", "usermeta", "image", "loader"}
# `src` and `bdata`: columns by reference and as opaque bytes. Tiles and images are fetched from a server.
_PLOTLY_KEYS = {"bdata", "images", "mapbox", "map", "src", "xsrc", "ysrc", "config"}
TILES: Final = {f"{kind}{where}" for kind in ("scatter", "choropleth", "density") for where in ("map", "mapbox")} | {
    "map",
    "mapbox",
}
"""What plotly draws over a map that it fetches piece by piece."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.\-]*://|^\s*//|\b(?:javascript|vbscript|data|blob|file)\s*:", re.IGNORECASE)
MARKUP: Final = re.compile(
    r"<\s*/?\s*(?:a|script|img|image|iframe|object|embed|svg|style|link|meta|base|form|video|audio)\b", re.IGNORECASE
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
    for key, value in _walk(spec, skip=_VEGA_DATA):
        if key in _VEGA_KEYS:
            return f"a specification may not hold {key}"
        if key in {"type", "mark"} and value == "image":
            return "a specification may not hold images"
        if isinstance(value, str) and key not in {*_PROSE, "$schema"} and _ADDRESS.search(value):
            return "a specification may not hold an address"
    return ""


def _schema_is_own(value: Any) -> bool:
    return isinstance(value, str) and bool(
        re.fullmatch(r"https://vega\.github\.io/schema/vega-lite/v\d+(\.\d+){0,2}\.json", value, re.ASCII)
    )


def plotly(spec: Any) -> str:
    """A plotly figure whose data is inside, and that leads nowhere."""
    if not isinstance(spec, dict) or not isinstance(spec.get("data"), list) or set(spec) - {"data", "layout", "frames"}:
        return "it is not a plotly figure"
    for key, value in _walk(spec, skip=frozenset()):
        if key in _PLOTLY_KEYS and value:
            return f"a figure may not hold {key}"
        if key == "type" and (value == "image" or value in TILES):
            return "a figure may not hold images or tiles"
        if isinstance(value, str) and MARKUP.search(value):
            return "a figure may not hold links or other markup"
        if isinstance(value, str) and key in {"source", "style", "url", "href"} and _ADDRESS.search(value):
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
