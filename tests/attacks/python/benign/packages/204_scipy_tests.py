from scipy import optimize, stats

groups = [g["amount"].to_numpy() for _, g in df.groupby("region")]
f, p = stats.f_oneway(*groups)
t = stats.ttest_ind(groups[0], groups[1], equal_var=False)
rho, _ = stats.spearmanr(df["amount"], df["discount"])
best = optimize.minimize_scalar(lambda x: (x - 2) ** 2)
popt, _ = optimize.curve_fit(lambda x, a, b: a * x + b, range(5), [1, 3, 5, 7, 9])
result = {"p": 0 <= p <= 1, "t": 0 <= t.pvalue <= 1, "rho": -1 <= rho <= 1, "x": round(best.x, 3), "slope": round(popt[0], 3)}
