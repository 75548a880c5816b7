import pandas as pd

targets = pd.DataFrame({"region": ["north", "south"], "target": [500, 300]})
joined = df.merge(targets, on="region", how="left", indicator=True, validate="many_to_one")
joined["target"] = joined["target"].fillna(0).astype(int)
wide = joined.pivot_table(index="region", columns="channel", values="amount", aggfunc="mean")
long = wide.reset_index().melt(id_vars="region", value_name="avg", var_name="channel").dropna()
both = pd.concat([long, long.assign(avg=long["avg"] * 2)], ignore_index=True, keys=None)
result = both.sort_values(["region", "channel", "avg"]).reset_index(drop=True)
