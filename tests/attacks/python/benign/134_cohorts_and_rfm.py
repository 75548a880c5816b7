import pandas as pd

now = df["ordered_at"].max()
rfm = df.groupby("customer").agg(
    recency=("ordered_at", lambda s: (now - s.max()).days),
    frequency=("order_id", "nunique"),
    monetary=("amount", "sum"),
)
for column, labels in {"recency": [3, 2, 1], "monetary": [1, 2, 3]}.items():
    rfm[f"{column}_score"] = pd.qcut(rfm[column].rank(method="first"), 3, labels=labels).astype(int)
rfm["score"] = rfm.filter(like="_score").sum(axis=1)
df["cohort"] = df.groupby("customer")["ordered_at"].transform("min").dt.to_period("M")
cohorts = df.groupby(["cohort", df["ordered_at"].dt.to_period("M")])["customer"].nunique().unstack(fill_value=0)
cohorts.columns = cohorts.columns.astype(str)
result = {"rfm": rfm.reset_index().to_dict("records"), "cohorts": cohorts.shape[0]}
