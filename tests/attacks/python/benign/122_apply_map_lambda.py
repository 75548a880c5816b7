import numpy as np

df["band"] = df["amount"].apply(lambda v: "high" if v > 200 else ("mid" if v > 100 else "low"))
df["net"] = df.apply(lambda row: row["amount"] * (1 - row["discount"]), axis=1)
df["short"] = df["region"].map({"north": "N", "south": "S", "east": "E", "west": "W"})
df["flag"] = np.where(df["net"] > df["net"].median(), 1, 0)
df["bucket"] = np.select([df["amount"] < 50, df["amount"] < 150], ["s", "m"], default="l")
df["net"] -= 1
df["net"] *= 2
result = df.groupby(["band", "short"], observed=True).size().rename("n").reset_index()
