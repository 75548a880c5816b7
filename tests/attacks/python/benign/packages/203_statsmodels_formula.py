import statsmodels.api as sm
import statsmodels.formula.api as smf

ols = smf.ols("amount ~ discount + C(region)", data=df).fit()
X = sm.add_constant(df[["discount"]])
plain = sm.OLS(df["amount"], X).fit()
result = {"r2": float(ols.rsquared), "params": {k: float(v) for k, v in plain.params.items()}, "n": int(ols.nobs), "table": "discount" in str(ols.summary())}
