import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["figure.figsize"] = (6, 4)
fig, (left, right) = plt.subplots(1, 2)
totals = df.groupby("region")["amount"].sum().sort_values()
bars = left.barh(totals.index, totals.values, color="tab:blue")
for bar in bars:
    left.text(bar.get_width(), bar.get_y() + bar.get_height() / 2, f"{bar.get_width():.0f}", va="center")
right.hist(df["amount"], bins=10, alpha=0.5)
right.set(title="Amounts", xlabel="EUR", ylabel="orders")
right.spines["top"].set_visible(False)
df.plot(x="ordered_at", y="amount", ax=right, legend=False)
fig.tight_layout()
result = {"axes": len(fig.axes), "bars": len(bars)}
plt.close("all")
