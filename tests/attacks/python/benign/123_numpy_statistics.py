import numpy as np

x = df["amount"].to_numpy(dtype=float)
rng = np.random.default_rng(42)
sample = rng.choice(x, size=(1000, len(x)), replace=True).mean(axis=1)
low, high = np.percentile(sample, [2.5, 97.5])
a = np.arange(12).reshape(3, 4)
a[1:, ::2] = 0
a[a > 6] -= 1
m = a @ a.T
eigenvalues, _ = np.linalg.eigh(m.astype(float))
result = {"mean": float(x.mean()), "ci": bool(low < x.mean() < high), "a": a.tolist(), "positive": bool((eigenvalues > -1e-9).all()), "hist": np.histogram(x, bins=4)[0].tolist()}
