if True:
	total = 0
	for v in df["amount"]:
		total += v ; n = len(df)

x = 1; y = \
	2
long = (1 +
        2 +  # a comment
        3)
class Empty: pass
def one_line(a, b=2, *rest, c, **more): return a + b + sum(rest) + c
lam = lambda *a, **k: (a, k)
result = {"total": round(total, 2), "n": n, "y": x + y, "long": long, "one": one_line(1, 2, 3, c=4), "lam": lam(1, z=2)[1], "e": type(Empty()).__name__}
