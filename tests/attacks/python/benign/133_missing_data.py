import numpy as np
import pandas as pd

frame = df.copy()
frame.loc[frame.index[:2], "amount"] = np.nan
report = frame.isna().sum().to_frame("missing")
report["pct"] = (report["missing"] / len(frame) * 100).round(2)
frame["amount"] = frame["amount"].fillna(frame.groupby("region")["amount"].transform("median")).fillna(0)
del frame["discount"]
frame.drop(columns=["customer"], inplace=True)
frame.dropna(subset=["amount"], inplace=True)
frame.index = range(len(frame))
frame.columns = [c.upper() for c in frame.columns]
report.index.name = "column"
result = report.reset_index()
