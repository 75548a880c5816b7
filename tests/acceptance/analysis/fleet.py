# Do older planes arrive later? Flights joined with the planes that flew them.
import pandas as pd

flown = flights.dropna(subset=["arr_delay"]).merge(planes, on="tailnum", how="left", indicator=True)
known = flown[flown["_merge"] == "both"].copy()
known["age"] = 2013 - known["built"]
known = known[known["age"] >= 0]
known["decade"] = pd.cut(known["age"], [-1, 4, 9, 14, 19, 100], labels=["0-4", "5-9", "10-14", "15-19", "20+"])
table = known.groupby("decade", observed=True).agg(
    flights=("arr_delay", "size"), mean_delay=("arr_delay", "mean"), late_share=("arr_delay", lambda d: (d > 15).mean())
)
unmatched = int((flown["_merge"] == "left_only").sum())
print(f"{unmatched} flights by planes that are not listed")
result = {"by_age": table, "unmatched": unmatched}
