"""matplotlib's figures -> PNG and SVG. Nothing here loads it: a figure exists only where the program has."""

import io
import math
import sys
import warnings
from typing import Any, Final

from agent.sandbox.exchange import pictures
from agent.sandbox.exchange import png as _png
from agent.sandbox.exchange import svg as _svg

_MAX_DPI: Final = 200
_ROOMY: Final = 4
"""How much larger than its paper a figure's content may be to be shown whole."""


def figure_of(value: Any) -> Any:
    """The figure that a value is or belongs to: axes, an array of axes, a grid of seaborn; None for all else."""
    loaded = sys.modules.get("matplotlib.figure")
    if loaded is None or value is None:
        return None
    if isinstance(value, loaded.FigureBase):
        return value if isinstance(value, loaded.Figure) else value.figure
    artist = sys.modules["matplotlib.artist"].Artist
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray) and value.dtype == object and value.size:
        return figure_of(value.flat[0])
    seaborn = sys.modules.get("seaborn.axisgrid")
    if isinstance(value, artist) or (seaborn is not None and isinstance(value, seaborn._BaseGrid)):  # noqa: SLF001
        return figure_of(value.figure)
    return None


def open_figures() -> list[tuple[int, Any]]:
    """Number and figure of all that pyplot still holds, and that something was drawn on."""
    loaded = sys.modules.get("matplotlib._pylab_helpers")
    if loaded is None:
        return []
    figures = [(manager.num, manager.canvas.figure) for manager in loaded.Gcf.get_all_fig_managers()]
    return [(number, figure) for number, figure in figures if len(figure.get_children()) > 1]


def is_kept(figure: Any) -> bool:
    """Does pyplot hold it?"""
    loaded = sys.modules.get("matplotlib._pylab_helpers")
    return loaded is not None and any(m.canvas.figure is figure for m in loaded.Gcf.get_all_fig_managers())


def png(figure: Any) -> tuple[str, bytes]:
    """At the figure's own resolution, or a lower one where that gives too many pixels."""
    return pictures.PNG, _saved(figure, "png", {"Software": None})


def svg(figure: Any) -> tuple[str, bytes]:
    """Without metadata, style sheets and links."""
    return pictures.SVG, _svg.cleaned(_saved(figure, "svg", {"Date": None}))


def _saved(figure: Any, form: str, metadata: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure.dpi = min(figure.dpi, _dpi(*figure.get_size_inches()))
        box = _whole(figure)
        width, height = (box.width, box.height) if box is not None else figure.get_size_inches()
        figure.savefig(sink, format=form, dpi=min(figure.dpi, _dpi(width, height)), metadata=metadata, bbox_inches=box)
    return sink.getvalue()


def _dpi(width: float, height: float) -> float:
    """The highest resolution at which so many inches have few enough pixels."""
    by_pixels, by_side = math.sqrt(_png.MAX_PIXELS / (width * height)), _png.MAX_SIDE / max(width, height)
    return min(_MAX_DPI, 0.98 * by_pixels, 0.98 * by_side)


def _whole(figure: Any) -> Any:
    """The box, in inches, around all that is drawn, labels outside the paper included; None where it has no measure."""
    canvas = sys.modules["matplotlib.backends.backend_agg"].FigureCanvasAgg(figure)
    box = figure.get_tightbbox(canvas.get_renderer())
    paper = figure.get_size_inches()
    sides = (box.width / paper[0], box.height / paper[1])
    if not all(math.isfinite(side) and 0 < side <= _ROOMY for side in sides):
        return None
    return box.padded(0.1)
