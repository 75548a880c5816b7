"""Everyday programs are admitted and mean under the policy what they mean without it; the others are refused, in place.

The first line of a refused program says what is expected: `# expect: CODE LINE COLUMN`.
"""

import builtins
import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import Refuse
from agent.guard.python import Imports, admit, namespace

HERE = Path(__file__).parent / "python"
BENIGN = sorted((HERE / "benign").glob("*.py"))
PACKAGES = sorted((HERE / "benign/packages").glob("*.py"))
REFUSED = sorted((HERE / "refused").glob("*.py"))
IMPORTS = Imports.default()


def orders() -> Any:
    """Forty orders, as a frame."""
    import pandas as pd

    n = range(40)
    days = pd.to_timedelta([i * 2.5 for i in n], unit="D")
    return pd.DataFrame(
        {
            "order_id": [1000 + i for i in n],
            "ordered_at": pd.to_datetime(["2024-01-03"] * 40) + days,
            "customer": [f"c{i * 7 % 9}" for i in n],
            "region": [("north", "south", "east", "west")[i * 3 % 4] for i in n],
            "channel": [("web", "shop", "phone")[i % 3] for i in n],
            "amount": [round(12.5 + (i * 37 % 101) * 3.1, 2) for i in n],
            "discount": [(i % 5) / 20 for i in n],
        }
    )


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["program"])
    depth = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(depth)  # a program set its own
    assert list(tmp_path.iterdir()) == []


def run(path: Path, globals_: dict[str, Any], code: Any) -> str:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        exec(code, globals_)
    return repr(globals_["result"])


def means_the_same(path: Path) -> None:
    text = path.read_text()
    admitted = admit(text, IMPORTS)
    plain: dict[str, Any] = {
        "__name__": "__main__",
        "__builtins__": vars(builtins) | {"input": lambda _: ""},
        "df": orders(),
    }
    under = run(path, namespace(admitted, IMPORTS, {"df": orders()}), admitted.code)
    assert under == run(path, plain, compile(text, "plain", "exec", dont_inherit=True))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", BENIGN, ids=lambda path: path.stem)
def test_everyday_programs_run_and_mean_the_same(path: Path) -> None:
    means_the_same(path)


@pytest.mark.full
@pytest.mark.filterwarnings("ignore")
def test_programs_of_the_packages_of_analysis_run_and_mean_the_same() -> None:
    """One test: to load the packages takes longer than all the programs."""
    assert len(PACKAGES) >= 11
    for path in PACKAGES:
        means_the_same(path)


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_what_is_refused_is_refused_where_it_stands(path: Path) -> None:
    data = path.read_bytes()
    said = re.match(rb"# expect: (\S+) (\d+|-) (\d+|-)\r?\n", data.removeprefix(b"\xef\xbb\xbf"))
    assert said is not None
    with pytest.raises(Refuse) as refused:
        admit(data.decode("utf-8", "surrogatepass"), IMPORTS)
    first = refused.value.problems[0]
    place = tuple("-" if one is None else str(one) for one in (first.line, first.column))
    assert (first.code, *place) == tuple(one.decode() for one in said.groups())
    assert (first.code, first.message, first.hint) == (refused.value.code, refused.value.message, refused.value.hint)
    assert first.hint
    assert len(refused.value.problems) <= 3
