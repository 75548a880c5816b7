import numpy as np

q1, q3 = df["amount"].quantile([0.25, 0.75])
iqr = q3 - q1
mask = ~df["amount"].between(q1 - 1.5 * iqr, q3 + 1.5 * iqr)
z = (df["amount"] - df["amount"].mean()) / df["amount"].std(ddof=0)
corr = df.select_dtypes(include="number").corr(method="spearman")
described = df.describe(include="all").T
result = {"outliers": int(mask.sum()), "extreme": int((np.abs(z) > 3).sum()), "corr": corr.round(3).to_dict(), "rows": len(described)}
