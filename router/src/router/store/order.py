"""A batch -> runs of operations of one kind, so that an engine can do each run in a few statements.

What waits in one batch was asked for at the same time by callers who do not yet have an answer: any order of them is
one that they could have come in. Two things are kept: the order within a kind, and that nothing passes an operation
that is not frequent. In between, results come before new jobs (they make room), and polls come last, so that each of
them sees the jobs that were put beside it.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from router.core import ops

_RANKS: Final[dict[type[ops.Op], int]] = {
    kind: rank
    for rank, kind in enumerate((ops.Seen, ops.Beat, ops.Accept, ops.Complete, ops.Submit, ops.Lease), start=1)
}
FREQUENT: Final = frozenset(_RANKS)

Run = Sequence[tuple[int, ops.Op]]
"""Operations of one kind, each with its place in the batch."""


def arranged(batch: Sequence[ops.Op]) -> list[Run]:
    """The runs of a batch, in the order in which they are to be done. What is not frequent stands alone."""
    found: list[Run] = []
    for frequent, stretch in groupby(enumerate(batch), key=lambda one: type(one[1]) in FREQUENT):
        if not frequent:
            found.extend([one] for one in stretch)
            continue
        in_order = sorted(stretch, key=lambda one: _RANKS[type(one[1])])
        found.extend(list(run) for _, run in groupby(in_order, key=lambda one: type(one[1])))
    return found
