import json
import pandas as pd

pd.set_option("display.max_rows", 20)
pd.options.display.float_format = "{:,.2f}".format
pd.options.mode.copy_on_write = True
text = df[["amount"]].head(2).to_string()
pd.options.display.float_format = None
pd.reset_option("display.max_rows")


def q90(s):
    return s.quantile(0.9)


q90.__name__ = "p90"
out = df.groupby("region")["amount"].agg(["mean", q90])
result = {"text": "." in text, "columns": list(out.columns), "version": pd.__version__.count(".") >= 1}
