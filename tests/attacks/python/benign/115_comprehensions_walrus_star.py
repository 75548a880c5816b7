data = df["amount"].tolist()
squares = {i: v**2 for i, v in enumerate(data) if v > 0}
regions = {r for r in df["region"]}
matrix = [[i * j for j in range(3)] for i in range(3)]
flat = [x for row in matrix for x in row if x]
big = [y for x in data if (y := x * 2) > 100]
first, *middle, last = sorted(data)
(a, b), c = (1, 2), 3
merged = {**{"a": 1}, "b": 2}
args = [*range(3), *regions]
low, high = 0, 400
inside = [low < v <= high for v in data]
result = {"n": len(squares), "flat": flat, "big": len(big), "first": first, "last": last, "merged": merged, "inside": all(inside), "args": len(args)}
