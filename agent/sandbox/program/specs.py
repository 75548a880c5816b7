"""altair's and plotly's charts -> specifications with their data inside, that lead nowhere."""

import base64
import math
import re
import sys
from typing import Any, Final, Literal

import numpy as np

from agent.sandbox.exchange import pictures
from agent.sandbox.program.refusal import Place
from agent.sandbox.program.values import Writer
from agent.wire import strictjson

_VEGA_SCHEMA = re.compile(r"https://vega\.github\.io/schema/vega-lite/v(\d+)(\.\d+){0,2}\.json", re.ASCII)
_TAG = re.compile(pictures.MARKUP.pattern + r"[^>]*>?", re.IGNORECASE)
_ROWS: Final = 1_000_000


def kind_of(value: Any) -> Literal["vega-lite", "plotly"] | None:
    """Which kind of specification a value is, also as a plain dict; None for all else."""
    altair, plotly = sys.modules.get("altair"), sys.modules.get("plotly.basedatatypes")
    if altair is not None and isinstance(value, altair.TopLevelMixin):
        return "vega-lite"
    if plotly is not None and isinstance(value, plotly.BaseFigure):
        return "plotly"
    if type(value) is dict:
        schema = value.get("$schema")
        if isinstance(schema, str) and _VEGA_SCHEMA.fullmatch(schema):
            return "vega-lite"
        data = value.get("data")
        if isinstance(data, list) and "layout" in value and all(isinstance(trace, dict) for trace in data):
            return "plotly"
    return None


def vega_lite(chart: Any) -> tuple[str, bytes]:
    """All rows inside: altair's limit of 5,000 is about notebooks; what may leave is capped by size."""
    spec = chart
    if type(chart) is not dict:
        altair = sys.modules["altair"]
        with altair.data_transformers.enable("default", max_rows=None):
            spec = chart.to_dict()
    plain = _plain(spec)
    plain.pop("usermeta", None)
    found = _VEGA_SCHEMA.fullmatch(str(plain.get("$schema", "")))
    version = found[1] if found else "6"
    return f"application/vnd.vegalite.v{version}+json", strictjson.dumps(plain)


def plotly(figure: Any) -> tuple[str, bytes]:
    """Columns as lists, gaps as null; links are taken out of texts, and maps that fetch tiles out of templates."""
    spec = _untagged(_plain(figure if type(figure) is dict else figure.to_plotly_json()))
    kept = {key: value for key, value in spec.items() if key in {"data", "layout", "frames"}}
    if not kept.get("frames"):
        kept.pop("frames", None)
    template = kept.get("layout", {}).get("template", {})
    for part in ("data", "layout"):
        if isinstance(template.get(part), dict):
            template[part] = {key: value for key, value in template[part].items() if key not in pictures.TILES}
    return pictures.PLOTLY, strictjson.dumps(kept)


def _plain(spec: Any) -> Any:
    """JSON, with null for what a chart cannot draw."""
    return Writer(_ROWS).json(_drawn(spec), Place("", "chart"))


def _drawn(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) >= {"bdata", "dtype"}:
            return _drawn(_unpacked(value))
        return {str(key): _drawn(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        value = value.tolist()
    elif isinstance(value, np.ndarray):
        value = list(value)
    if isinstance(value, list | tuple):
        return [_drawn(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unpacked(packed: dict[str, Any]) -> Any:
    """Plotly's typed arrays, which only a machine can read, as numbers."""
    array = np.frombuffer(base64.b64decode(packed["bdata"]), dtype=np.dtype(packed["dtype"]))
    shape = packed.get("shape")
    return array.reshape([int(side) for side in str(shape).split(",")]) if shape else array


def _untagged(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untagged(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_untagged(inner) for inner in value]
    while isinstance(value, str) and pictures.MARKUP.search(value):  # taking one out may make another
        value = _TAG.sub("", value)
    return value
