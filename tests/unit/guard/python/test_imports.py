"""Which modules a program may import, in the text and when it runs."""

import subprocess
import sys

import pytest

from agent.core.errors import Refuse
from agent.guard.python import Imports, admit, namespace
from agent.guard.python.modules import HINTS, PACKAGES, STANDARD, WITHOUT

DEFAULT = Imports.default()


def result(code: str, imports: Imports = DEFAULT) -> object:
    admitted = admit(code, imports)
    found = namespace(admitted, imports, {})
    exec(admitted.code, found)
    return found["result"]


def refused(code: str, imports: Imports = DEFAULT) -> Refuse:
    with pytest.raises(Refuse) as found:
        admit(code, imports)
    assert found.value.code == "python.import"
    return found.value


@pytest.mark.parametrize("module", sorted(STANDARD))
def test_what_is_listed_can_be_imported(module: str) -> None:
    assert result(f"import {module} as m\nresult = m.__name__") in {module, "posixpath"}


def test_the_list_names_what_there_is_and_keeps_out_what_it_means_to() -> None:
    assert {name.partition(".")[0] for name in STANDARD} <= sys.stdlib_module_names
    assert not {name for name in (*STANDARD, *PACKAGES) if name in HINTS or name in WITHOUT}
    for needed in (
        "os",
        "tempfile",
        "pathlib",
        "io",
        "csv",
        "concurrent.futures",
        "json",
        "re",
        "pandas",
        "numpy",
        "duckdb",
    ):
        assert DEFAULT.allows(needed)
    for kept in ("socket", "subprocess", "ctypes", "signal", "multiprocessing", "builtins", "pickle", "agent", "_io"):
        assert not DEFAULT.allows(kept)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("import requests", "No network here: name the data as an input."),
        ("from urllib.request import urlopen", "No network here: name the data as an input."),
        ("import panda", "Did you mean pandas?"),
        ("import numpi as np", "Did you mean numpy?"),
        ("import concurrent", "Import concurrent.futures."),
        ("import xgboost", "Use sklearn or statsmodels."),
        (
            "import openpyxl.styles",
            "Assign the frame to `result`: whoever opens the job's result saves it as they need.",
        ),
        ("import zzz", "Write it with the modules that are there: docs/python/policy.md lists them."),
    ],
)
def test_a_refused_module_says_what_to_do_instead(code: str, hint: str) -> None:
    assert refused(code).hint == hint


def test_a_name_admits_what_is_below_it_and_the_more_specific_name_decides() -> None:
    assert (
        result("import os.path, collections.abc\nfrom concurrent import futures\nfrom urllib import parse\nresult = 1")
        == 1
    )
    assert refused("import numpy.f2py.auxfuncs").problems[0].name == "numpy.f2py.auxfuncs"
    assert refused("from numpy import array, f2py").message == "The module numpy.f2py is not allowed here."
    assert refused("from urllib import parse, request").message == "The module urllib.request is not allowed here."
    assert Imports.of(["numpy", "numpy.f2py"]).allows("numpy.f2py.auxfuncs")
    assert not Imports.of(["urllib.parse"]).allows("urllib")


def test_the_sites_list_is_exactly_that() -> None:
    site = Imports.of(["json"])
    assert site.names == ("json",)
    assert result("import json\nresult = json.loads('1')", site) == 1
    refused("import os", site)
    assert Imports.of(["default", "geopandas"]).modules == DEFAULT.modules | {"geopandas"}
    assert Imports.of([]).names == ()


@pytest.mark.parametrize("name", ["", "a b", "os;sys", "os.", ".os", "os..path", "1x"])
def test_a_list_of_something_else_is_a_mistake(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a module"):
        Imports.of([name])


@pytest.mark.parametrize(
    "code",
    [
        "import importlib\nresult = importlib.import_module('soc' + 'ket')",
        "from importlib import import_module as load\nresult = load('.request', 'urllib')",
        "result = [m for m in map(importlib.import_module, ['ctypes'])]",
    ],
)
def test_modules_by_name_are_asked_for_when_it_runs(code: str) -> None:
    admitted = admit("import importlib\n" + code, DEFAULT)
    with pytest.raises(ModuleNotFoundError, match="not allowed here"):
        exec(admitted.code, namespace(admitted, DEFAULT, {}))


def test_only_the_programs_own_frames_are_asked(tmp_path: object) -> None:
    """A library that imports what the program may not does so, also when it is called by the program."""
    site = Imports.of(["zipfile"])
    program = (
        "import sys; sys.path.insert(0, '.')\n"
        "from agent.guard.python import Imports, admit, namespace\n"
        "site = Imports.of(['getpass', 'statistics'])\n"
        "code = admit('import statistics\\nresult = statistics.NormalDist(0, 1).cdf(0)', site)\n"
        "found = namespace(code, site, {})\n"
        "assert 'random' not in found['__builtins__']\n"
        "exec(code.code, found); assert found['result'] == 0.5; assert 'random' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert not site.allows("random")


def test_functions_of_the_program_are_its_own_frames_wherever_they_are_called() -> None:
    code = "def f(x):\n    try:\n        import socket\n    except ImportError:\n        return 'no'\nresult = list(map(f, [1]))"
    assert result(code) == ["no"]


@pytest.mark.parametrize(
    "code",
    [
        "from sys import _getframe",
        "import sys\nsys._getframe()",
        "import sys\nsys.modules['os']",
        "import gc\ngc.get_objects()",
        "from types import FunctionType",
        "import types\ntypes.CodeType",
        "import inspect\ninspect.currentframe()",
        "import timeit\ntimeit.timeit('1')",
        "import importlib\nimportlib.util",
        "import importlib.metadata\nimportlib.machinery",
    ],
)
def test_what_modules_hold_back(code: str) -> None:
    with pytest.raises((ImportError, AttributeError), match=r"cannot import name|has no attribute"):
        result(code + "\nresult = 1")


def test_a_shadow_is_its_module_for_the_rest() -> None:
    code = (
        "import sys, gc, types, inspect, importlib.metadata\n"
        "from timeit import default_timer\n"
        "def f(a, b=1): pass\n"
        "result = [sys.maxsize > 0, gc.collect() >= 0, types.SimpleNamespace(a=1).a, str(inspect.signature(f)),\n"
        "          importlib.metadata.version('numpy') > '', '_getframe' in dir(sys), 'maxsize' in dir(sys), 'get_objects' in dir(gc)]"
    )
    assert result(code) == [True, True, 1, "(a, b=1)", True, False, True, False]


def test_what_is_set_in_a_shadow_is_set_in_its_module(capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys, io\nold = sys.stdout\nsys.stdout = out = io.StringIO()\nprint('a')\nsys.stdout = old\nprint('b')\nresult = out.getvalue()"
    assert result(code) == "a\n"
    assert capsys.readouterr().out == "b\n"
