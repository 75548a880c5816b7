df["rank"] = df.groupby("region")["amount"].rank(method="dense", ascending=False)
df["running"] = df.sort_values("ordered_at").groupby("region")["amount"].cumsum()
df["prev"] = df.groupby("customer")["amount"].shift(1)
df["delta"] = df["amount"] - df["prev"]
result = df[df["rank"] <= 2][["region", "order_id", "rank", "running", "delta"]]
