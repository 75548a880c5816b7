from __future__ import annotations

import typing as t
from typing import TYPE_CHECKING, Any, Callable, Iterable, Union, cast, overload

if TYPE_CHECKING:
    import pandas as pd
    from collections.abc import Sequence

Number = Union[int, float]
Transform = Callable[["pd.DataFrame"], "pd.DataFrame"]
limit: t.Final[int] = 2
names: list[str]


@overload
def double(x: int) -> int: ...
@overload
def double(x: float) -> float: ...
def double(x):
    return x * 2


def head(frame: pd.DataFrame, n: int | None = None) -> pd.DataFrame:
    return frame.head(n or limit)


result = {"rows": len(head(df)), "double": double(2.5), "cast": cast(int, 3), "annotations": sorted(__annotations__)}
