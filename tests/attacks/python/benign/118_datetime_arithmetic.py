from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo
import calendar
import time

start = datetime(2024, 1, 31, tzinfo=timezone.utc)
days = [(start + timedelta(days=7 * i)).date().isoformat() for i in range(3)]
quarter = (start.month - 1) // 3 + 1
stamp = datetime.strptime("2024-02-29 10:15", "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo("Europe/Vienna"))
age = (df["ordered_at"].max() - df["ordered_at"]).dt.days
df["month"] = df["ordered_at"].dt.to_period("M").astype(str)
df["weekday"] = df["ordered_at"].dt.day_name()
now = datetime.now()
result = {"days": days, "quarter": quarter, "offset": str(stamp.utcoffset()), "oldest": int(age.max()), "leap": calendar.isleap(2024), "months": sorted(df["month"].unique()), "later": time.time() > 0 and now > datetime(2020, 1, 1)}
