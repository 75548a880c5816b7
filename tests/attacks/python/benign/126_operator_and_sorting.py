import operator
from operator import attrgetter, itemgetter, methodcaller

rows = [{"k": k, "n": n} for k, n in [("b", 2), ("a", 2), ("c", 1)]]
ordered = sorted(sorted(rows, key=itemgetter("k")), key=operator.itemgetter("n"), reverse=True)
dates = sorted(df["ordered_at"], key=attrgetter("month", "day"))
upper = list(map(methodcaller("upper"), ["a", "b"]))
named = list(map(methodcaller("format", 3), ["{}!", "<{}>"]))
ranked = sorted(rows, key=lambda r: (-r["n"], r["k"]))
add = operator.add(1, 2)
result = {"ordered": [r["k"] for r in ordered], "first": str(dates[0].date()), "upper": upper, "named": named, "ranked": [r["k"] for r in ranked], "add": add}
