# How delays build up over the day, by airport: as a picture and as a specification.
import altair as alt
import matplotlib.pyplot as plt

mean = flights.groupby(["origin", "hour"])["dep_delay"].agg(["mean", "count"]).reset_index()
mean = mean[mean["count"] >= 100].rename(columns={"mean": "delay"})

fig, ax = plt.subplots(figsize=(8, 4.5))
for origin, part in mean.groupby("origin"):
    ax.plot(part["hour"], part["delay"], marker="o", label=origin)
ax.set_title("Departure delay by hour of day, New York 2013")
ax.set_xlabel("Scheduled hour of departure")
ax.set_ylabel("Mean delay (minutes)")
ax.grid(alpha=0.3)
ax.legend(title="Airport")

chart = alt.Chart(mean).mark_line(point=True).encode(x="hour:Q", y="delay:Q", color="origin:N")
result = mean[["origin", "hour", "delay"]]
