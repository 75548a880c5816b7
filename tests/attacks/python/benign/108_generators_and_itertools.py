import itertools
from itertools import groupby, islice, chain, accumulate, pairwise


def chunks(rows, size):
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch


def walk(*parts):
    for part in parts:
        yield from part


rows = df.sort_values("region").to_dict("records")
counts = {key: len(list(group)) for key, group in groupby(rows, key=lambda r: r["region"])}
sizes = [len(c) for c in chunks(range(10), 4)]
steps = [b - a for a, b in pairwise(accumulate([1, 2, 3, 4]))]
result = {"counts": counts, "sizes": sizes, "steps": steps, "all": list(walk([1], (2,), {3})), "chain": list(chain("ab", "c"))}
