"""Charts of a foreign process: what draws passes, what could fetch, link, run or hide does not."""

import base64
import json
import struct
import zlib

import pytest

from agent.sandbox.exchange import Output, pictures, png, svg

VEGA = "application/vnd.vegalite.v6+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.1.0.json"


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def picture(width: int = 2, height: int = 2, *extra: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * 2) * 2)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(extra) + chunk(b"IDAT", rows) + chunk(b"IEND")


def problem(media_type: str, data: bytes | object) -> str:
    return pictures.problem(Output("x", media_type, data if isinstance(data, bytes) else json.dumps(data).encode()))


def test_a_picture_passes() -> None:
    assert problem("image/png", picture()) == ""
    assert problem("image/png", picture(2, 2, chunk(b"pHYs", b"\0" * 9))) == ""


BAD_PNG = {
    "nothing": b"",
    "a page": b"<html>",
    "cut": picture()[:-1],
    "cut chunk": picture()[:-12],
    "behind it": picture() + b"<script>",
    "text inside": picture(2, 2, chunk(b"tEXt", b"Comment\0secret")),
    "own chunk": picture(2, 2, chunk(b"prIv", b"secret")),
    "wrong check": picture().replace(b"IDAT", b"IDAt"),
    "no head": b"\x89PNG\r\n\x1a\n" + chunk(b"IEND"),
    "two heads": picture(2, 2, chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))),
    "too wide": picture(png.MAX_SIDE + 1, 1),
    "too many pixels": picture(16_000, 16_000),
    "no pixels": picture(0, 5),
    "length that lies": b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31) + b"IHDR" + b"\0" * 30,
}


@pytest.mark.parametrize("name", BAD_PNG)
def test_what_is_more_or_less_than_a_picture_is_refused(name: str) -> None:
    assert problem("image/png", BAD_PNG[name])


def drawing(inner: str, attributes: str = "") -> bytes:
    return (
        f'<svg xmlns="{svg.NAMESPACE}" xmlns:xlink="{svg.LINK}" viewBox="0 0 9 9" {attributes}>{inner}</svg>'
    ).encode()


INSIDE = base64.b64encode(picture()).decode()
GOOD_SVG = {
    "shapes": '<g clip-path="url(#c)"><path d="M 0 0 L 1 1" style="fill: #ffffff; stroke: rgb(1, 2, 3)"/><use xlink:href="#p"/></g>',
    "picture": f'<image width="2" height="2" xlink:href="data:image/png;base64,{INSIDE}"/>',
    "text": "<text x='1' y='1'>a &amp; b &lt;script&gt; https://example.org</text>",
    "filter": '<defs><filter id="f"><feColorMatrix in="SourceGraphic" type="matrix" values="1 0"/></filter></defs>',
}
BAD_SVG = {
    "script": "<script>alert(1)</script>",
    "handler": '<path onclick="alert(1)" d="M 0 0"/>',
    "link": '<a xlink:href="#x"><path d=""/></a>',
    "foreign": "<foreignObject><p/></foreignObject>",
    "html": '<p xmlns="http://www.w3.org/1999/xhtml"/>',
    "style sheet": "<style>@import 'x'</style>",
    "animation": '<animate attributeName="href" to="x"/>',
    "set": '<set attributeName="onload" to="x"/>',
    "picture elsewhere": '<image xlink:href="https://example.org/x.png"/>',
    "picture as svg": '<image xlink:href="data:image/svg+xml;base64,AAAA"/>',
    "picture that is none": '<image xlink:href="data:image/png;base64,AAAA"/>',
    "use elsewhere": '<use xlink:href="other.svg#a"/>',
    "use of data": '<use xlink:href="data:image/svg+xml,x"/>',
    "plain href": '<image href="https://example.org/x.png"/>',
    "url in a style": '<path style="fill: url(https://example.org/x#a)"/>',
    "url without scheme": '<path fill="url(//example.org/x#a)"/>',
    "url in quotes": "<path fill=\"url('x.svg#a')\"/>",
    "image-set": '<path style="fill: image-set(x)"/>',
    "escape in a style": '<path style="fill: u\\72l(x)"/>',
    "import in a style": '<path style="@import x"/>',
    "comment": "<!-- hidden -->",
    "instruction": "<?xml-stylesheet href='x'?>",
    "cdata": "<g><![CDATA[x]]></g>",
    "inner svg": "<svg/>",
    "deep": "<g>" * 70 + "</g>" * 70,
    "not closed": "<g>",
}


@pytest.mark.parametrize("name", GOOD_SVG)
def test_a_drawing_passes(name: str) -> None:
    assert problem("image/svg+xml", drawing(GOOD_SVG[name])) == ""


@pytest.mark.parametrize("name", BAD_SVG)
def test_a_drawing_that_does_more_is_refused(name: str) -> None:
    assert problem("image/svg+xml", drawing(BAD_SVG[name]))


def test_entities_and_encodings_are_refused() -> None:
    bomb = b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + drawing("<text>&b;</text>")
    for data in (
        bomb,
        drawing("<text>&b;</text>"),
        drawing("").decode().encode("utf-16"),
        b"",
        b"<g/>",
        drawing("", 'onload="x"'),
    ):
        assert problem("image/svg+xml", data)


GOOD_VEGA = {
    "plain": {"data": {"values": [{"u": "https://example.org", "href": "x", "url": "y"}]}, "mark": "bar"},
    "named": {"datasets": {"d": [{"a": 1}]}, "data": {"name": "d"}, "mark": {"type": "line"}},
    "controls": {
        "params": [
            {"name": "a", "bind": {"input": "range", "min": 1, "max": 9, "name": "n"}},
            {
                "name": "b",
                "select": "point",
                "bind": {"x": {"input": "select", "options": [1, 2], "labels": ["a", "b"]}},
            },
            {"name": "c", "select": "interval", "bind": "scales"},
            {"name": "d", "select": {"type": "point", "fields": ["x"]}, "bind": {"legend": "dblclick"}},
        ]
    },
    "tooltips": {
        "mark": {"type": "bar", "tooltip": True, "cursor": "zoom-in"},
        "encoding": {"tooltip": [{"field": "images"}]},
    },
    "patterns": {"transform": [{"filter": "test(/^\\\\d+$/, datum.a)"}]},
    "prose": {"title": {"text": "Source: https://example.org", "subtitle": ["see http://x"]}, "mark": "bar"},
}
BAD_VEGA = {
    "data elsewhere": {"data": {"url": "data.csv"}},
    "look-up elsewhere": {"layer": [{"transform": [{"lookup": "a", "from": {"data": {"url": "x"}}}]}]},
    "link": {"encoding": {"href": {"field": "a"}}},
    "mark that links": {"mark": {"type": "bar", "href": "x"}},
    "images": {"mark": {"type": "image"}},
    "images in short": {"layer": [{"mark": "image"}]},
    "channel of images": {"encoding": {"url": {"field": "a"}}},
    "settings of the page": {"usermeta": {"embedOptions": {"loader": {}}}},
    "address in an expression": {"transform": [{"calculate": "'https://example.org/' + datum.a", "as": "u"}]},
    "address in a title's expression": {
        "title": {"text": {"expr": "'//example.org'"}},
        "params": [{"expr": "'data:text/html,x'"}],
    },
    "a control's handler": {
        "params": [{"name": "a", "bind": {"input": "text", "autofocus": "", "onfocus": "alert(1)"}}]
    },
    "a field's control": {"params": [{"name": "a", "bind": {"x": {"input": "text", "onfocus": "alert(1)"}}}]},
    "a control without a kind": {"params": [{"name": "a", "bind": {"onfocus": "alert(1)"}}]},
    "a control that posts": {"params": [{"name": "a", "bind": {"input": "file"}}]},
    "a control elsewhere": {"params": [{"name": "a", "bind": {"input": "text", "element": "#login"}}]},
    "a control of no kind": {"params": [{"name": "a", "bind": {"input": ["text"]}}, {"bind": ["x"]}]},
    "a tooltip's picture": {"data": {"values": [{"image": "https://example.org"}]}},
    "a tooltip's picture further in": {"datasets": {"d": [{"o": {"image": "https://example.org"}}]}},
    "a tooltip's picture in text": {"data": {"values": "image\nhttps://example.org"}},
    "a tooltip's picture in escaped text": {"data": {"values": '[{"im\\u0061ge":1}]', "format": {"type": "json"}}},
    "a tooltip of all": {"mark": {"type": "bar", "tooltip": {"content": "data"}}},
    "a tooltip's name": {"encoding": {"tooltip": [{"field": "a", "title": "image"}]}},
    "a tooltip's quoted name": {"encoding": {"tooltip": [{"field": "['im\\age']"}]}},
    "a tooltip's made-up name": {"transform": [{"calculate": "'ht' + 'tps:'", "as": "image"}]},
    "a tooltip's object": {"mark": {"tooltip": {"expr": "{image: 'ht' + 'tps:/' + '/e.org'}"}}},
    "a tooltip's escaped object": {"mark": {"tooltip": {"expr": "{'im\\x61ge': 'ht' + 'tps:/' + '/e.org'}"}}},
    "a cursor that fetches": {"mark": {"type": "bar", "cursor": "url(//example.org/x.png), auto"}},
    "a cursor of an expression": {"config": {"view": {"cursor": {"expr": "'u' + 'rl(ht' + 'tps:'"}}}},
    "a colour that fetches": {"mark": {"type": "bar", "fill": "URL (//example.org/x.svg#a)"}},
    "names of values": {"transform": [{"pivot": "a", "value": "b", "groupby": ["c"]}]},
    "script": {"config": {"background": "javascript:alert(1)"}},
}


@pytest.mark.parametrize("name", GOOD_VEGA)
def test_a_specification_passes(name: str) -> None:
    assert problem(VEGA, {"$schema": SCHEMA, **GOOD_VEGA[name]}) == ""


@pytest.mark.parametrize("name", BAD_VEGA)
def test_a_specification_that_leads_somewhere_is_refused(name: str) -> None:
    assert problem(VEGA, {"$schema": SCHEMA, **BAD_VEGA[name]})


@pytest.mark.parametrize(
    "schema", [None, 5, "https://vega.github.io/schema/vega/v5.json", "https://e.org/schema/vega-lite/v6.json"]
)
def test_only_vega_lite(schema: object) -> None:
    assert problem(VEGA, {"$schema": schema, "mark": "bar"})


GOOD_PLOTLY = {
    "bars": {"data": [{"type": "bar", "x": [1], "y": [2], "text": ["https://example.org", "a < b"]}], "layout": {}},
    "heat": {"data": [{"type": "heatmap", "z": [[1]]}], "layout": {"template": {"data": {"heatmap": [{}]}}}},
    "flows": {
        "data": [{"type": "sankey", "link": {"source": [0], "target": [1]}}],
        "layout": {"title": {"text": "<b>x</b><br><span style='color: rgb(1, 2, 3); font-size: 9px'>y (z) & a</span>"}},
    },
}
BAD_PLOTLY = {
    "link": {"data": [], "layout": {"title": {"text": "<a href='https://example.org'>x</a>"}}},
    "link in data": {"data": [{"type": "bar", "text": ["<A HREF='x'>"]}], "layout": {}},
    "markup": {"data": [{"hovertemplate": "< script>"}], "layout": {}},
    "images": {"data": [], "layout": {"images": [{"source": "https://example.org/x.png"}]}},
    "image trace": {"data": [{"type": "image", "source": "data:image/png;base64,"}], "layout": {}},
    "countries from elsewhere": {"data": [{"type": "choropleth", "geojson": "https://example.org/x"}], "layout": {}},
    "countries by the page": {"data": [{"type": "choropleth", "geojson": "x.json"}], "layout": {}},
    "a button's image": {
        "data": [],
        "layout": {"updatemenus": [{"buttons": [{"method": "relayout", "args": [{"images[0].source": "x"}]}]}]},
    },
    "a button's countries": {
        "data": [],
        "layout": {"updatemenus": [{"buttons": [{"method": "restyle", "args": [{"geojson": ["x"]}]}]}]},
    },
    "a style that fetches": {"data": [], "layout": {"title": {"text": "<span style='mask: url(//e.org)'>x</span>"}}},
    "a style in entities": {"data": [], "layout": {"title": {"text": "<span style='mask: ur&#108;&#40;//e.org'>x"}}},
    "a kind that is none": {"data": [{"type": ["scattermap"]}, {"type": {"a": ["bar"]}}], "layout": {}},
    "tiles": {"data": [{"type": "scattermap"}], "layout": {}},
    "older tiles": {"data": [], "layout": {"mapbox": {"style": "https://example.org"}}},
    "opaque bytes": {"data": [{"x": {"dtype": "f8", "bdata": "AAAA"}}], "layout": {}},
    "settings of the page": {"data": [], "layout": {}, "config": {"plotlyServerURL": "https://example.org"}},
    "no figure": {"layout": {}},
    "another thing": [1],
}


@pytest.mark.parametrize("name", GOOD_PLOTLY)
def test_a_figure_passes(name: str) -> None:
    assert problem(pictures.PLOTLY, GOOD_PLOTLY[name]) == ""


@pytest.mark.parametrize("name", BAD_PLOTLY)
def test_a_figure_that_leads_somewhere_is_refused(name: str) -> None:
    assert problem(pictures.PLOTLY, BAD_PLOTLY[name])


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"data":[],"data":[],"layout":{}}', b"[" * 100])
def test_what_is_not_strict_json_is_refused(data: bytes) -> None:
    assert problem(pictures.PLOTLY, data)
    assert problem(VEGA, data)


LONG = 400_000
"""Whoever looks at each place of a text from each other one is not done with it in an hour."""


@pytest.mark.parametrize("text", ["a" * LONG, "<" + " " * LONG, "<b style" * (LONG // 8), "data " * (LONG // 5)])
def test_a_long_text_is_looked_at_once(text: str) -> None:
    assert problem(VEGA, {"$schema": SCHEMA, "mark": {"type": "bar", "x": text}}) == ""
    assert problem(pictures.PLOTLY, {"data": [{"source": text}], "layout": {}}) == ""
    assert problem("image/svg+xml", drawing(f'<path d="{text.replace("<", "(")}"/>')) in {
        "",
        "the SVG holds an attribute that is not allowed",
    }


@pytest.mark.parametrize(
    "media", ["text/html", "application/javascript", "application/vnd.vegalite.v6+json; x", "image/png\n", ""]
)
def test_other_media_types_are_none_of_a_chart(media: str) -> None:
    assert pictures.format_of(media) is None
    assert problem(media, b"{}")
