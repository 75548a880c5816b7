"""Charts that a program leaves behind -> outputs in the formats that may be given."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.job import ChartFormat
from agent.sandbox.exchange import pictures
from agent.sandbox.exchange.types import Output, Program
from agent.sandbox.program import drawing, specs
from agent.sandbox.program.refusal import Place, ResultError

_ENCODERS = {
    "vega-lite": specs.vega_lite,
    "plotly": specs.plotly,
    "png": drawing.png,
    "svg": drawing.svg,
}


class TooManyError(Exception):
    """More charts, or larger ones, than may leave."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart as the program has it. `formats` are those that it can be given in."""

    name: str
    what: Any
    formats: tuple[ChartFormat, ...]


def chart_of(name: str, value: Any) -> Chart | None:
    """The chart that a value is; None when it is none."""
    if (figure := drawing.figure_of(value)) is not None:
        return Chart(name, figure, ("png", "svg"))
    if (kind := specs.kind_of(value)) is not None:
        return Chart(name, value, (kind,))
    return None


def taken(namespace: Mapping[str, Any], result: Any, text: str, *, chosen: bool) -> tuple[list[Chart], Any]:
    """All charts, and what is left of the result: a chart there is an output. Raises ResultError.

    Not `chosen`: the result is what a last expression happened to give, as every call of pyplot gives something.
    """
    found = list(_named("chart", namespace.get("chart"), text))
    if not chosen and _is_drawn_on(result):
        result = None
    elif (one := chart_of("result", result)) is not None:
        found, result = [*found, one], None
    elif isinstance(result, list | tuple) and result and all(chart_of("", item) for item in result):
        found, result = [*found, *_named("result", result, text)], None
    elif type(result) is dict:
        charts = [(key, chart) for key, item in result.items() if (chart := chart_of(f"result.{key}", item))]
        found += [chart for _, chart in charts]
        keys = {id(key) for key, _ in charts}
        if charts:
            result = {key: item for key, item in result.items() if id(key) not in keys} or None
    found += [Chart(f"figure {number}", figure, ("png", "svg")) for number, figure in drawing.open_figures()]
    return list(_once(found)), result


def _is_drawn_on(value: Any) -> bool:
    """Is it an artist, or a list of them, of a figure that pyplot keeps?"""
    first = value[0] if isinstance(value, list | tuple) and value else value
    figure = drawing.figure_of(first)
    return figure is not None and drawing.is_kept(figure)


def _named(name: str, value: Any, text: str) -> Iterator[Chart]:
    """The charts of the variable `chart`: one, or a list or dict of them."""
    if value is None:
        return
    if (one := chart_of(name, value)) is not None:
        yield one
        return
    if isinstance(value, dict):
        inner = [(f"{name}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(f"{name}.{number}", item) for number, item in enumerate(value, 1)]
    else:
        inner = []
    found = [chart_of(label, item) for label, item in inner]
    if name == "chart" and any(found) and not all(found):
        raise Place(text, name).why("holds something that is no chart")
    yield from (chart for chart in found if chart is not None)


def _once(charts: list[Chart]) -> Iterator[Chart]:
    seen: set[int] = set()
    for chart in charts:
        if id(chart.what) not in seen:
            seen.add(id(chart.what))
            yield chart


def encoded(charts: list[Chart], program: Program) -> tuple[tuple[Output, ...], tuple[str, ...]]:
    """Each chart in the first of the asked formats that it has; and the names of those that have none.

    Raises TooManyError, and ResultError for a chart that could lead somewhere.
    """
    outputs: list[Output] = []
    withheld: list[str] = []
    room = program.output_bytes
    for chart in charts:
        form = next((form for form in program.charts if form in chart.formats), None)
        if form is None:
            withheld.append(f"{chart.name}: {' or '.join(chart.formats)}")
            continue
        output = _encode(chart, form, room)
        room -= len(output.data)
        outputs.append(output)
        if room < 0 or len(outputs) > program.outputs:
            raise TooManyError
    return tuple(outputs), tuple(withheld)


def _encode(chart: Chart, form: ChartFormat, room: int) -> Output:
    try:
        media_type, data = _ENCODERS[form](chart.what)
    except ResultError:
        raise
    except Exception as error:  # noqa: BLE001  a program may have changed anything about its charts
        kind = type(error).__name__[:100]
        raise ResultError(f"{chart.name} cannot be drawn as {form}: it raised {kind}.") from None
    output = Output(chart.name, media_type, data)
    if len(data) <= room and (why := pictures.problem(output)):
        raise ResultError(f"{chart.name} cannot be given back: {why}.")
    return output


def silence() -> None:
    """What would open a window or a browser does nothing: charts are taken when the program ends."""
    if (io := sys.modules.get("plotly.io")) is not None:
        io.renderers.default = ""
        sys.modules["plotly.basedatatypes"].BaseFigure.show = _show
    if (api := sys.modules.get("altair.vegalite.v6.api")) is not None:
        api.TopLevelMixin.show = _show
        api.TopLevelMixin.display = _show


def _show(*_: Any, **__: Any) -> None:
    """Nothing to show to."""
