import pandas as pd

ts = df.set_index("ordered_at").sort_index()["amount"]
daily = ts.resample("D").sum().asfreq("D", fill_value=0)
smooth = daily.rolling(window=7, min_periods=1).mean()
weekly = daily.resample("W").agg(["sum", "max"])
weekly.columns = ["total", "peak"]
weekly["growth"] = weekly["total"].pct_change().replace([float("inf"), float("-inf")], pd.NA)
shifted = daily.shift(1, fill_value=0)
result = {"days": len(daily), "weeks": len(weekly), "last": float(smooth.iloc[-1]), "shifted": float(shifted.iloc[0]), "first": str(daily.index[0].date())}
