"""Whatever a program does to its own process, what comes of it is clear; run in a real sandbox."""

import pyarrow as pa
import pytest

from agent.sandbox.exchange import Caps
from tests.support.sandboxes import Sandbox

TABLE = pa.table({"name": ["Jane Doe"], "n": [1]})


@pytest.mark.parametrize(
    ("code", "kind", "line", "words"),
    [
        ("x = 1\n\n1 / 0", "ZeroDivisionError", 3, "division by zero"),
        ("def f():\n    return missing\nf()", "NameError", 2, "missing"),
        ("df['none']", "KeyError", 1, "none"),
        ("raise BaseException('no')", "BaseException", 1, ""),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", 1, ""),
        ("import sys\nsys.exit(3)", "SystemExit", 2, ""),
        ("def f():\n    f()\nf()", "RecursionError", 2, "recursion"),
        ("x = bytearray(10**15)", "MemoryError", 1, ""),
        ("class E(Exception):\n    pass\nraise E('own')", "E", 3, ""),
    ],
)
def test_an_error_has_a_type_a_line_and_words(code: str, kind: str, line: int, words: str, sandbox: Sandbox) -> None:
    told = sandbox.run("print('before')\n" + code, {"df": TABLE})
    error = told.whole.error
    assert told.whole.code == "python.error"
    assert told.printed.stdout == "before\n"
    assert error is not None
    assert (error.type, error.line) == (kind, line + 1)
    assert words in error.message


def test_an_error_holds_no_value(sandbox: Sandbox) -> None:
    told = sandbox.run("raise ValueError(f'bad {df.name[0]} and 4111-1111')", {"df": TABLE})
    assert told.whole.error is not None
    assert "Jane" not in told.whole.error.message
    assert "4111" not in told.whole.error.message


def test_what_was_drawn_before_an_error_is_given(sandbox: Sandbox) -> None:
    told = sandbox.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nraise ValueError")
    assert (told.whole.code, [output.media_type for output in told.whole.outputs]) == ("python.error", ["image/png"])


# Each of these leaves something behind that would hit the answer if the answer leaned on it.
LEFT = {
    "a thread that goes on": "import threading, time\nthreading.Thread(target=lambda: time.sleep(60)).start()",
    "a thread that prints": (
        "import threading\ndef p():\n    while True:\n        print('x')\n"
        "t = threading.Thread(target=p)\nt.daemon = True\nt.start()"
    ),
    "exit handlers": "import atexit\natexit.register(print, 'never')",
    "other streams": "import sys, io\nsys.stdout = io.StringIO()\nprint('lost')",
    "closed streams": "import sys\nsys.stdout.close()\nsys.stderr.close()",
    "a low limit of recursion": "import sys\nsys.setrecursionlimit(60)",
    "no garbage collection": "import gc\ngc.disable()",
    "signals": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)",
    "other builtins": "import builtins\nbuiltins.len = None\nbuiltins.isinstance = None",
    "another decimal context": "import decimal\ndecimal.getcontext().prec = 1",
    "another random": "import random\nrandom.seed(1)",
}


MODULES = ("sys", "io", "gc", "time", "threading", "atexit", "signal", "builtins", "decimal", "random", "os")
"""What a site may have listed, or a program reached in spite of the policy: the answer does not rest on that."""


@pytest.mark.parametrize("name", LEFT)
def test_what_a_program_leaves_behind_does_not_mix_with_its_answer(name: str, sandbox: Sandbox) -> None:
    told = sandbox.run(LEFT[name] + "\nresult = {'n': 1}", wall_seconds=20, imports=MODULES)
    assert told.done is not None
    assert (told.done.cause, told.done.status) == ("exit", 0)
    assert (told.whole.code, told.value) == ("ok", {"n": 1}), told.whole.error


def test_prints_are_in_order_flushed_and_apart(sandbox: Sandbox) -> None:
    told = sandbox.run(
        "import sys\nprint('a', end='')\nprint('é\\x1b[2J')\nprint('e', file=sys.stderr)\nsys.stdout.write('z')"
    )
    assert (told.printed.stdout, told.printed.stderr) == ("aé␛[2J\nz", "e\n")


def test_endless_prints_are_cut_and_drained(sandbox: Sandbox) -> None:
    told = sandbox.run("for i in range(20000):\n    print('line', i)\nresult = i", caps=Caps(1000, 1000))
    assert (told.value, len(told.printed.stdout), told.printed.stdout_cut) == (19999, 1000, True)


def test_each_job_has_its_own_numbers_by_chance(sandbox: Sandbox) -> None:
    code = "import numpy as np, random\nresult = [float(np.random.rand()), random.random()]"
    one, other = sandbox.run(code).value, sandbox.run(code).value
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_nothing_of_one_job_is_there_in_the_next(sandbox: Sandbox) -> None:
    sandbox.run("import pandas as pd\npd.marked = 1\nopen('left.txt', 'w').write('x')")
    code = "import pandas as pd, os\nresult = [hasattr(pd, 'marked'), os.listdir('.')]"
    told = sandbox.run(code)
    assert told.whole.code in {"ok", "python.error"}
    if told.whole.code == "ok":
        assert told.value == [False, []]


def test_only_the_modules_of_the_list(sandbox: Sandbox) -> None:
    told = sandbox.run("import json\nresult = 1", imports=("math",))
    assert told.whole.code == "python.error"
    assert told.whole.error is not None
    assert told.whole.error.type == "Refused"
    assert sandbox.run("import math\nresult = math.floor(1.5)", imports=("math",)).value == 1


@pytest.mark.full
@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("from scipy import stats\nresult = round(stats.norm.cdf(1.96), 3)", 0.975),
        (
            "from sklearn.linear_model import LinearRegression as L\nresult = L().fit([[0], [1]], [1, 3]).coef_.round(6)",
            [2.0],
        ),
        ("import statsmodels.api as sm\nresult = sm.OLS([1, 2, 3], [1, 1, 1]).fit().params.round(6)", [2.0]),
        ("import polars as pl\nresult = pl.DataFrame({'a': [1, 2]}).group_by('a').len().height", 2),
        (
            "from sklearn.ensemble import RandomForestClassifier as R\nresult = R(5, n_jobs=2).fit([[0], [1]] * 9, [0, 1] * 9).predict([[1]])",
            [1],
        ),
    ],
)
def test_libraries_that_are_not_preloaded_work(code: str, value: object, sandbox: Sandbox) -> None:
    told = sandbox.run(code)
    assert told.value == value, told.whole.error


def test_the_main_module_is_the_program(sandbox: Sandbox) -> None:
    code = (
        "from __future__ import annotations\nimport dataclasses, typing\n"
        "@dataclasses.dataclass\nclass P:\n    x: int = 1\n"
        "result = [__name__, typing.get_type_hints(P)['x'].__name__ if False else P().x]"
    )
    assert sandbox.run(code).value == ["__main__", 1]
