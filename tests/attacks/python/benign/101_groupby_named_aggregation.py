import pandas as pd

summary = (
    df.groupby(["region", "channel"], as_index=False)
    .agg(orders=("order_id", "count"), revenue=("amount", "sum"), avg_amount=("amount", "mean"))
    .sort_values("revenue", ascending=False)
)
summary["share"] = summary["revenue"] / summary["revenue"].sum()
result = summary
