import cmath
import math
import random
import statistics
from decimal import Decimal, getcontext
from fractions import Fraction

getcontext().prec = 10
random.seed(1)
values = df["amount"].tolist()
result = {
    "mean": statistics.fmean(values),
    "stdev": statistics.stdev(values),
    "quartiles": statistics.quantiles(values, n=4),
    "third": str(Decimal(1) / Decimal(3)),
    "fraction": str(Fraction(3, 12) + Fraction(1, 3)),
    "log": round(math.log10(1000), 3),
    "isclose": math.isclose(0.1 + 0.2, 0.3),
    "combos": math.comb(5, 2),
    "root": str(cmath.sqrt(-1)),
    "random": 0 <= random.random() < 1,
    "prod": math.prod([1, 2, 3]),
}
