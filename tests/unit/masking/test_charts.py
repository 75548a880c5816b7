"""Charts leave as the policy says: counted, thinned, and with no text that the second net has not seen."""

import json
from typing import Any

import pytest

from agent.masking.charts import ChartError, cleaned, file_name, format_of, points
from agent.masking.pii.config import PiiNet
from agent.masking.pii.values import ValueNet

VEGA, PLOTLY, PNG, SVG = (
    "application/vnd.vegalite.v6+json",
    "application/vnd.plotly.v1+json",
    "image/png",
    "image/svg+xml",
)
ROWS = [{"x": n, "y": f"secret-{n}"} for n in range(3)]
EVERYWHERE = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "data": {"values": ROWS},
    "datasets": {"d": [*ROWS, *ROWS]},
    "layer": [{"data": {"values": ROWS}, "mark": "bar"}],
    "hconcat": [{"vconcat": [{"data": {"name": "x", "values": "x,y\n1,secret-1\n"}}]}],
    "transform": [{"lookup": "x", "from": {"data": {"values": ROWS}, "key": "x"}}],
    "encoding": {"x": {"field": "x", "scale": {"domain": [f"secret-{n}" for n in range(40)]}, "title": "t"}},
    "description": "secret-" * 100,
}
FIGURE = {
    "data": [
        {
            "type": "scatter",
            "name": "secret-9",
            "legendgroup": "secret-9",
            "hovertemplate": "c=secret-9",
            "x": [1, 2, 3],
            "y": [4, 5, 6],
            "text": ["secret-1", "secret-2", "secret-3"],
            "marker": {"color": [7, 8, 9], "size": 5},
            "customdata": [["secret-4"]],
            "dimensions": [{"values": ["secret-5"]}],
            "z": {"dtype": "f8", "bdata": "c2VjcmV0LTY="},
        }
    ],
    "layout": {
        "title": {"text": "t"},
        "xaxis": {"range": [0, 3], "categoryarray": [f"secret-{n}" for n in range(40)]},
        "template": {"data": {"scatter": [{"x": ["secret-7"]}]}},
        "annotations": [{"text": "here", "x": 1}],
    },
    "frames": [{"data": [{"x": ["secret-8"] * 9}]}],
}


def net(action: str = "off") -> ValueNet:
    return ValueNet(PiiNet.model_validate(action))


def clean(media_type: str, spec: Any, *, with_data: bool = True, action: str = "off") -> Any:
    return json.loads(cleaned("chart 1", media_type, json.dumps(spec).encode(), net(action), with_data=with_data))


def test_formats_and_names() -> None:
    assert [format_of(one) for one in (VEGA, PLOTLY, PNG, SVG)] == ["vega-lite", "plotly", "png", "svg"]
    for other in ("text/html", "application/javascript", "application/vnd.vegalite.v6+json;x", "IMAGE/PNG", ""):
        assert format_of(other) is None
    names = [file_name(n, media) for n, media in enumerate((VEGA, PLOTLY, PNG, SVG), 1)]
    assert names == ["chart-1.vl.json", "chart-2.plotly.json", "chart-3.png", "chart-4.svg"]


def test_points_are_counted_wherever_data_is() -> None:
    assert points(VEGA, json.dumps(EVERYWHERE).encode()) == 3 + 6 + 3 + 3 + 3 + 40
    assert points(PLOTLY, json.dumps(FIGURE).encode()) == 3 + 9 + 40
    assert points(VEGA, b'{"data":{"values":{"features":[1,2,3,4]}}}') == 4
    assert points(PNG, b"\x89PNG") == 0
    written = json.dumps([{"x": n} for n in range(50)])
    for values in (written, f" {written}", "x\r" * 49):
        assert points(VEGA, json.dumps({"data": {"values": values, "format": {"type": "json"}}}).encode()) == 50
    assert points(VEGA, json.dumps({"data": {"values": [1] * 50}}).encode()) == 50
    assert points(VEGA, json.dumps({"params": [{"name": "p", "value": [0] * 50}]}).encode()) == 50
    assert points(PLOTLY, json.dumps({"data": [{"type": "heatmap", "z": [[0] * 9] * 7}], "layout": {}}).encode()) == 63
    assert points(PLOTLY, b'{"data":[{"x":[1,2],"customdata":[[1,2,3],[4,5,6]]}],"layout":{}}') == 2
    assert points(PLOTLY, json.dumps({"data": [], "layout": {"shapes": [{}] * 50}}).encode()) == 50


@pytest.mark.parametrize(("media_type", "spec"), [(VEGA, EVERYWHERE), (PLOTLY, FIGURE)])
def test_spec_only_keeps_how_it_is_drawn_and_no_value(media_type: str, spec: Any) -> None:
    found = clean(media_type, spec, with_data=False)
    assert "secret" not in json.dumps(found)
    assert points(media_type, json.dumps(found).encode()) == 0
    assert clean(media_type, spec) == spec, "with data nothing is lost"
    if media_type == VEGA:
        assert (found["layer"][0]["mark"], found["encoding"]["x"]["field"]) == ("bar", "x")
    else:
        assert (found["data"][0]["type"], found["layout"]["xaxis"]["range"]) == ("scatter", [0, 3])


@pytest.mark.parametrize("media_type", [PNG, SVG, "text/html"])
def test_no_picture_leaves_without_data(media_type: str) -> None:
    with pytest.raises(ChartError):
        cleaned("chart 1", media_type, b"<svg/>", net(), with_data=False)


@pytest.mark.parametrize(
    "text", ["<script>x</script>", "<a href='x'>y</a>", "< IMG src=x onerror=y>", "javascript:x()", "data: text/html,x"]
)
def test_markup_stays_in_texts_and_in_names(text: str) -> None:
    for spec in ({"title": text}, {text: 1}, {"layer": [{"title": {"text": [text]}}]}):
        with pytest.raises(ChartError, match="markup"):
            clean(VEGA, spec)


def test_what_is_no_specification_stays() -> None:
    for data in (b"", b"[]", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff"):
        with pytest.raises(ChartError):
            cleaned("chart 1", VEGA, data, net(), with_data=True)


def test_the_net_reads_every_text_of_a_specification() -> None:
    spec = {"title": "of ada@example.org", "data": {"values": [{"m": "ada@example.org", "c": 4111111111111111}]}}
    found = clean(VEGA, spec, action="mask")
    assert found == {"title": "of [email]", "data": {"values": [{"m": "[email]", "c": None}]}}


def test_the_net_reads_the_words_of_a_picture_and_not_its_coordinates() -> None:
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg"><!-- ada@example.org --><path d="M 4111 1111 1111 1111 0"/>'
        '<text id="ada@example.org">of ada&#64;example.org &amp; x</text></svg>'
    )
    found = cleaned("chart 1", SVG, drawn.encode(), net("mask"), with_data=True).decode()
    assert "example.org" not in found
    assert 'd="M 4111 1111 1111 1111 0"' in found
    assert "of [email] &amp; x</text>" in found
    for hidden in ("<svg><![CDATA[ada@example.org]]></svg>", '<!DOCTYPE x [<!ENTITY a "b">]><svg/>'):
        with pytest.raises(ChartError):
            cleaned("chart 1", SVG, hidden.encode(), net(), with_data=True)


def test_without_data_no_value_stands_in_a_layout_or_a_trace() -> None:
    """As plotly's express draws a figure that is split by colour, facets and frames, with sizes of a column."""
    figure = {
        "data": [
            {"type": "scatter", "marker": {"size": [1.0], "sizeref": 777.1, "sizemode": "area"}, "x0": 7772},
            {"type": "indicator", "value": 7773, "delta": {"reference": 7774}, "gauge": {"axis": {"range": [0, 7775]}}},
        ],
        "layout": {
            "xaxis": {
                "title": {"text": "city"},
                "categoryarray": ["secret-1"],
                "tickvals": [7776],
                "ticktext": ["secret-2"],
            },
            "annotations": [{"text": "seg=secret-3", "showarrow": False}, {"text": "mine", "x": 1}],
            "sliders": [{"steps": [{"label": "secret-4", "args": [["secret-4"]]}]}],
        },
    }
    thin = clean(PLOTLY, figure, with_data=False)
    assert "secret" not in json.dumps(thin)
    assert "777" not in json.dumps(thin)
    assert thin["layout"]["xaxis"] == {"title": {"text": "city"}}
    assert thin["layout"]["annotations"] == [{"text": "mine", "x": 1}]
    assert clean(PLOTLY, figure) == figure


def test_without_data_no_digest_of_it_stands_in_its_name() -> None:
    name, other = f"data-{'a1' * 16}", f"data-{'b2' * 16}"
    spec = {"hconcat": [{"data": {"name": name}}, {"data": {"name": other}}, {"data": {"name": name}}]}
    thin = clean(VEGA, spec, with_data=False)
    assert [view["data"]["name"] for view in thin["hconcat"]] == ["data-1", "data-2", "data-1"]
