"""Imports, in the server, what jobs use, and pays for its first use. Leaves one thread, no connection, no file."""

import gc
import importlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from agent.sandbox import process

DEFAULT: Final = ("pandas", "numpy", "pyarrow", "duckdb", "matplotlib")
"""What nearly every job uses. The others are imported by the job that uses them."""


WITH_THREADS: Final = frozenset({"polars", "statsmodels"})
"""They start threads as they are imported (statsmodels imports polars where it is installed): left to the jobs."""


def warm(names: Iterable[str] = DEFAULT) -> None:
    """Import these libraries, as far as they are installed, ready for jobs that are forked from this process.

    Raises RuntimeError when a thread is left: a fork would copy locks that nobody can release.
    """
    for name in names:
        package = name.partition(".")[0]
        if package not in WITH_THREADS and importlib.util.find_spec(package) is not None:
            _PREPARE.get(name, importlib.import_module)(name)
    _first_use()
    if len(left := process.threads()) != 1:
        raise RuntimeError(f"the server has threads: {', '.join(left)}")
    gc.collect()
    gc.freeze()


def _pyarrow(name: str) -> None:
    arrow = importlib.import_module(name)
    arrow.set_cpu_count(1)
    arrow.set_io_thread_count(1)
    for part in ("acero", "compute", "dataset", "ipc"):
        importlib.import_module(f"{name}.{part}")


def _duckdb(name: str) -> None:
    """Its default connection would be every job's: each makes its own."""
    importlib.import_module(name).default_connection().close()


def _matplotlib(name: str) -> None:
    """Its fonts are those that it brings, listed once, here: else every job would look for its own."""
    with tempfile.TemporaryDirectory(prefix="chart-") as folder, _own_fonts_only(name):
        os.environ["MPLCONFIGDIR"] = folder
        try:
            library = importlib.import_module(name)
            library.use("agg")
            pyplot = importlib.import_module(f"{name}.pyplot")
        finally:
            del os.environ["MPLCONFIGDIR"]
        for part in ("backends.backend_svg", "dates"):
            importlib.import_module(f"{name}.{part}")
        figure, axes = pyplot.subplots()
        axes.plot([0, 1], label="x")
        axes.legend()
        axes.set_title("x")
        figure.savefig(os.devnull, format="png")
        pyplot.close(figure)
        with suppress(AttributeError):  # it keeps the files of fonts open, and does the same in a forked process
            sys.modules[f"{name}.font_manager"]._get_font.cache_clear()  # noqa: SLF001
    _ignore_missing_window()


def _ignore_missing_window() -> None:
    import warnings  # noqa: PLC0415

    warnings.filterwarnings("ignore", message=".*is non-interactive, and thus cannot be shown", category=UserWarning)


@contextmanager
def _own_fonts_only(name: str) -> Iterator[None]:
    """While it lists fonts: no timer (a thread), no program that lists the system's, no folder but its own."""
    spec = importlib.util.find_spec(name)
    own = os.path.dirname(spec.origin) if spec is not None and spec.origin else ""  # noqa: PTH120
    walk = os.walk

    def walk_own(top: Any, *rest: Any, **words: Any) -> Iterator[Any]:
        return walk(top, *rest, **words) if str(top).startswith(own) else iter(())

    kept = (threading.Timer, subprocess.check_output, os.walk)
    threading.Timer, subprocess.check_output, os.walk = _refuse, _refuse, walk_own  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        threading.Timer, subprocess.check_output, os.walk = kept  # type: ignore[misc]


class _NotNowError(OSError, RuntimeError):
    """What the callers of both expect: that there is no such program, or no thread."""


def _refuse(*_: Any, **__: Any) -> Any:
    raise _NotNowError


_PREPARE: Final[dict[str, Callable[[str], object]]] = {
    "pyarrow": _pyarrow,
    "duckdb": _duckdb,
    "matplotlib": _matplotlib,
}


def _first_use() -> None:
    """What the first conversion between Arrow and pandas imports and caches, without a thread."""
    import agent.sandbox.program.life  # noqa: F401, PLC0415
    from agent.sandbox.program.inputs import pandas_of  # noqa: PLC0415

    if "pyarrow" in sys.modules:
        arrow = sys.modules["pyarrow"]
        names, columns = ["a", "b", "c"], [arrow.array([1]), arrow.array(["x"]), arrow.array([0], arrow.date32())]
        frame = pandas_of(arrow.table(columns, names=names))
        for name in names:
            arrow.array(frame[name], from_pandas=True)
    re.compile(r"\w+")
