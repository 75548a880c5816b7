# The temperature of a year at one airport: days, a moving week, and months.
at_jfk = weather[weather["origin"] == "JFK"].set_index("time_hour").sort_index()
daily = at_jfk["temp"].resample("D").mean().dropna()
week = daily.rolling(7).mean()
months = daily.resample("MS").agg(["mean", "min", "max", "count"])
result = {
    "warmest_week_ends": week.idxmax().date(),
    "warmest_week": week.max(),
    "coldest_day": daily.idxmin().date(),
    "largest_fall": daily.diff().min(),
    "months": months,
}
