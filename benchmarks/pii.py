"""The second net over batches of clean cells, of tokens, and of cells that it has to mask."""

import random
import statistics
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from agent.core.table import Table, Tally
from agent.masking.pii.config import PiiNet
from agent.masking.pii.net import Net
from benchmarks.figures import Figure, interleaved, milliseconds

ROWS_PER_BATCH = 10_000
BATCHES = 10
ROUNDS = 11
MICROSECONDS = 0.5
"""The most that a clean cell may take: 2 million cells a second."""
_WORDS = ("alpha", "invoice", "paid", "late", "shipped", "Berlin", "Rome", "order", "large", "small", "returned")


def run(folder: Path) -> Iterator[Figure]:
    """Microseconds a cell, in one run over one million cells of each sort."""
    del folder
    sorts = {name: _batches(make) for name, make in _SORTS.items()}
    found = interleaved({name: partial(_swept, batches) for name, batches in sorts.items()}, ROUNDS)
    for name, seconds in found.items():
        cells = sum(batch.num_rows * batch.num_columns for batch in sorts[name])
        value = statistics.median(seconds) / cells * 1e6
        limit = MICROSECONDS if name.startswith("clean") else None
        detail = milliseconds(seconds) | {"cells": cells, "cells_per_second": round(1e6 / value)}
        yield Figure(group="second net, a cell", name=name, value=value, unit="µs", limit=limit, detail=detail)


def _clean(rng: random.Random) -> Mapping[str, Any]:
    return {
        "words": " ".join(rng.choices(_WORDS, k=3)),
        "code": f"ORD-{rng.randint(1000, 9999)}",
        "place": rng.choice(_WORDS),
        "note": " ".join(rng.choices(_WORDS, k=8)),
        "state": rng.choice(("new", "paid", "late")),
        "amount": rng.random() * 1e5,
        "id": rng.randint(1, 10**9),
        "long_id": rng.randint(10**17, 10**18),
        "name": rng.choice(_WORDS).title(),
        "unit": rng.choice(("kg", "m", "piece")),
    }


_SORTS: Mapping[str, Callable[[random.Random], Mapping[str, Any]]] = {
    "clean texts and numbers": _clean,
    "clean words": lambda rng: {"text": " ".join(rng.choices(_WORDS, k=3))},
    "tokens": lambda rng: {"token": f"tok_{rng.getrandbits(128):032x}"},
    "times as text": lambda rng: {"at": f"2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d} 12:00:00"},
    "one in a hundred to mask": lambda rng: {"text": "ann@example.org" if rng.random() < 0.01 else rng.choice(_WORDS)},
}


def _batches(make: Callable[[random.Random], Mapping[str, Any]]) -> list[Any]:
    rng = random.Random(1)
    rows = [make(rng) for _ in range(ROWS_PER_BATCH)]
    batch = pa.RecordBatch.from_pylist(rows)
    return [batch] * BATCHES


def _swept(batches: list[Any]) -> None:
    for _ in Net(PiiNet(action="mask"), Table(batches[0].schema, iter(batches)), Tally()).table().batches:
        pass
