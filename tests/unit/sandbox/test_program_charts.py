"""Charts as outputs: found wherever a program leaves them, in the formats asked for, leading nowhere; in a real sandbox."""

import json
import struct

import pyarrow as pa
import pytest

from agent.sandbox.exchange import png, svg
from tests.support.sandboxes import Sandbox, Told

TABLE = pa.table({"x": [1, 2, 3], "y": [2.0, 4.0, float("nan")], "k": ["a", "b", "<a href='http://e'>c</a>"]})
PLT = "import matplotlib.pyplot as plt\n"
ALT = "import altair as alt\n"
PX = "import plotly.express as px\nimport plotly.graph_objects as go\n"
VEGA = "application/vnd.vegalite.v6+json"
PLOTLY = "application/vnd.plotly.v1+json"


def run(code: str, sandbox: Sandbox, **terms: object) -> Told:
    return sandbox.run(code, {"df": TABLE}, **terms)


def kinds(told: Told) -> list[tuple[str, str]]:
    assert told.whole.code == "ok", told.whole.error
    return [(output.name, output.media_type) for output in told.whole.outputs]


FOUND = {
    "open figure": (PLT + "plt.plot(df.x)", [("figure 1", "image/png")]),
    "shown figure": (PLT + "plt.plot(df.x)\nplt.show()", [("figure 1", "image/png")]),
    "chart is a figure": (PLT + "chart, ax = plt.subplots()\nax.bar(df.k, df.y)", [("chart", "image/png")]),
    "axes as result": ("result = df.plot(x='x', y='y')", [("result", "image/png")]),
    "axes as last expression": ("df.plot(x='x', y='y')", [("figure 1", "image/png")]),
    "array of axes": (PLT + "fig, axes = plt.subplots(2)\nchart = axes", [("chart", "image/png")]),
    "closed figure": (PLT + "plt.plot(df.x)\nplt.close()", []),
    "empty figure": (PLT + "plt.figure()", []),
    "two figures": (
        PLT + "plt.plot(df.x)\nplt.figure()\nplt.plot(df.y)",
        [("figure 1", "image/png"), ("figure 2", "image/png")],
    ),
    "altair": (ALT + "chart = alt.Chart(df).mark_point().encode(x='x', y='y')", [("chart", VEGA)]),
    "altair as result": (ALT + "result = alt.Chart(df).mark_bar().encode(x='x', y='y')", [("result", VEGA)]),
    "layers": (
        ALT + "a = alt.Chart(df).mark_line().encode(x='x', y='y')\nchart = a + a.mark_point()",
        [("chart", VEGA)],
    ),
    "dict of charts": (
        ALT + PX + "chart = {'one': alt.Chart(df).mark_point().encode(x='x'), 'two': px.bar(df, x='x', y='y')}",
        [("chart.one", VEGA), ("chart.two", PLOTLY)],
    ),
    "list as result": (
        PX + "result = [px.line(df, x='x', y='y'), px.scatter(df, x='x', y='y')]",
        [("result.1", PLOTLY), ("result.2", PLOTLY)],
    ),
    "plotly shown": (PX + "fig = px.line(df, x='x', y='y')\nfig.show()\nchart = fig", [("chart", PLOTLY)]),
    "vega-lite as a dict": (
        "chart = {'$schema': 'https://vega.github.io/schema/vega-lite/v5.json', 'data': {'values': [{'a': 1}]}, 'mark': 'bar'}",
        [("chart", "application/vnd.vegalite.v5+json")],
    ),
    "plotly as a dict": ("chart = {'data': [{'type': 'bar', 'y': [1]}], 'layout': {}}", [("chart", PLOTLY)]),
}


@pytest.mark.parametrize("name", FOUND)
def test_a_chart_is_found_where_a_program_leaves_it(name: str, sandbox: Sandbox) -> None:
    code, expected = FOUND[name]
    told = run(code, sandbox)
    assert kinds(told) == expected
    assert told.whole.result == "none"
    assert told.printed.stderr == ""


def test_charts_inside_a_result_are_taken_out_of_it(sandbox: Sandbox) -> None:
    told = run(ALT + "result = {'n': 3, 'plot': alt.Chart(df).mark_point().encode(x='x')}", sandbox)
    assert kinds(told) == [("result.plot", VEGA)]
    assert told.value == {"n": 3}


def test_the_format_is_the_first_that_was_asked_for_and_there_is(sandbox: Sandbox) -> None:
    code = PLT + "plt.plot(df.x)"
    assert kinds(run(code, sandbox, charts=("svg", "png"))) == [("figure 1", "image/svg+xml")]
    assert kinds(run(code, sandbox, charts=("vega-lite", "png"))) == [("figure 1", "image/png")]
    nothing = run(code, sandbox, charts=("plotly",))
    assert kinds(nothing) == []
    assert nothing.whole.withheld == ("figure 1: png or svg",)
    assert run(code, sandbox, charts=()).whole.withheld == ("figure 1: png or svg",)


def test_a_png_has_the_size_of_its_figure_and_only_draws(sandbox: Sandbox) -> None:
    told = run(PLT + "plt.figure(figsize=(4, 3), dpi=100)\nplt.plot(df.x)", sandbox)
    data = told.whole.outputs[0].data
    assert png.problem(data) == ""
    width, height = struct.unpack_from(">II", data, 16)
    assert 300 < width < 440
    assert 220 < height < 340


@pytest.mark.full
@pytest.mark.parametrize("code", ["plt.figure(figsize=(500, 500), dpi=300)", "plt.figure(figsize=(300, 1), dpi=200)"])
def test_a_huge_figure_is_drawn_smaller(code: str, sandbox: Sandbox) -> None:
    told = run(PLT + code + "\nplt.plot(df.x)", sandbox)
    width, height = struct.unpack_from(">II", told.whole.outputs[0].data, 16)
    assert width * height <= png.MAX_PIXELS
    assert max(width, height) <= png.MAX_SIDE


def test_text_far_outside_does_not_blow_a_figure_up(sandbox: Sandbox) -> None:
    told = run(PLT + "plt.plot(df.x)\nplt.text(40, 2, 'far')", sandbox)
    width, height = struct.unpack_from(">II", told.whole.outputs[0].data, 16)
    assert max(width, height) < 2000


def test_an_svg_holds_no_link_no_style_sheet_and_no_metadata(sandbox: Sandbox) -> None:
    code = (
        PLT + "fig, axes = plt.subplots(2, 2)\naxes[0][0].plot(df.x, label='l')\naxes[0][0].legend()\n"
        "axes[0][1].imshow([[1, 2], [3, 4]])\naxes[1][0].fill_between([0, 1], [1, 2], hatch='/')\n"
        "axes[1][1].pcolormesh([[1, 2], [3, 4]], shading='gouraud')\n"
        "axes[0][0].text(1, 1, 'x', url='https://example.org')\naxes[0][0].set_title('$\\\\alpha$ & <b>')"
    )
    told = run(code, sandbox, charts=("svg",))
    data = told.whole.outputs[0].data
    assert svg.problem(data) == ""
    assert not any(word in data for word in (b"example.org", b"<style", b"<metadata", b"<!DOCTYPE", b"<a "))
    assert b"data:image/png" in data
    assert b"<path" in data


def test_vega_lite_has_its_rows_inside_and_all_of_them(sandbox: Sandbox) -> None:
    code = (
        ALT
        + "import pandas as pd\nmany = pd.DataFrame({'a': range(6000)})\nchart = alt.Chart(many).mark_point().encode(x='a')"
    )
    spec = json.loads(run(code, sandbox).whole.outputs[0].data)
    (rows,) = spec["datasets"].values()
    assert len(rows) == 6000


def test_plotly_has_readable_columns_with_gaps_and_no_links(sandbox: Sandbox) -> None:
    spec = json.loads(
        run(PX + "chart = px.bar(df, x='x', y='y', text='k', title='<a href=\"http://e\">t</a>')", sandbox)
        .whole.outputs[0]
        .data
    )
    (trace,) = spec["data"]
    assert (trace["x"], trace["y"]) == ([1, 2, 3], [2.0, 4.0, None])
    assert trace["text"] == ["a", "b", "c"]
    assert spec["layout"]["title"]["text"] == "t"


LEADING = {
    "vega url": (ALT + "chart = alt.Chart('https://example.org/d.csv').mark_point().encode(x='a:Q')", "url"),
    "vega href": (ALT + "chart = alt.Chart(df).mark_point().encode(x='x', href='k')", "href"),
    "vega image": (ALT + "chart = alt.Chart(df).mark_image().encode(x='x')", "image"),
    "vega address": (
        ALT + "chart = alt.Chart(df).mark_point().transform_calculate(u=\"'https://e.org/' + datum.k\").encode(x='x')",
        "address",
    ),
    "plotly image": (PX + "chart = px.bar(df, x='x')\nchart.add_layout_image(source='https://e.org/x.png')", "images"),
    "plotly tiles": (PX + "chart = go.Figure(go.Scattermap(lat=[1], lon=[2]))", "tiles"),
}


@pytest.mark.parametrize("name", LEADING)
def test_a_chart_that_leads_somewhere_is_refused_in_words(name: str, sandbox: Sandbox) -> None:
    code, word = LEADING[name]
    told = run(code, sandbox)
    assert told.whole.code == "python.result"
    assert told.whole.error is not None
    assert told.whole.error.message.startswith("chart cannot be given back: ")
    assert word in told.whole.error.message


def test_too_many_or_too_large_charts_are_said_to_be(sandbox: Sandbox) -> None:
    code = PLT + "for n in range(2):\n    plt.figure()\n    plt.plot(df.x)"
    for terms in ({"outputs": 1}, {"output_bytes": 20_000}):
        told = run(code, sandbox, **terms)
        assert (told.whole.code, told.whole.outputs) == ("limit.output", ())


def test_a_chart_that_cannot_be_drawn_says_so_without_values(sandbox: Sandbox) -> None:
    told = run(PLT + "plt.plot(df.x)\nplt.title('$\\\\frac{secret$')", sandbox)
    assert told.whole.code == "python.result"
    assert told.whole.error is not None
    assert told.whole.error.message == "figure 1 cannot be drawn as png: it raised ValueError."


def test_a_saved_picture_is_scratch(sandbox: Sandbox) -> None:
    code = PLT + "plt.plot(df.x)\nplt.savefig('x.png')\nplt.close()\nresult = open('x.png', 'rb').read(4).hex()"
    told = run(code, sandbox)
    assert told.whole.outputs == ()
    if told.whole.code == "ok":
        assert told.value == "89504e47"
