"""The frame that every program of the corpus finds as `df`."""

import datetime as dt

import numpy as np
import pandas as pd

ROWS = 200


def orders() -> pd.DataFrame:
    """The same rows every time."""
    rng = np.random.default_rng(7)
    start = dt.datetime(2025, 1, 1)  # noqa: DTZ001 - as a database gives it
    return pd.DataFrame(
        {
            "order_id": np.arange(1, ROWS + 1),
            "customer": [f"C{n:03d}" for n in rng.integers(1, 40, ROWS)],
            "region": rng.choice(["north", "south", "east", "west"], ROWS),
            "channel": rng.choice(["web", "shop", "phone"], ROWS),
            "product": rng.choice(["bolt", "nut", "gear", "cog"], ROWS),
            "quantity": rng.integers(1, 20, ROWS),
            "amount": rng.gamma(2.0, 80.0, ROWS).round(2),
            "discount": rng.choice([0.0, 0.05, 0.1], ROWS),
            "ordered_at": [start + dt.timedelta(days=int(n)) for n in np.sort(rng.integers(0, 365, ROWS))],
        }
    )
