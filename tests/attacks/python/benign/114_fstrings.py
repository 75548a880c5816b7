import datetime as dt

name, value, width, places = "amount", 1234.5678, 12, 2
when = dt.datetime(2024, 5, 17, 8, 30)
rows = [f"{name:<10}|{value:>{width},.{places}f}|{when:%Y-%m-%d %H:%M}|{value!r:.6}" for _ in range(2)]
debug = f"{value=:.1f} {len(rows)=}"
nested = f"{'yes' if value > 1000 else 'no'} {', '.join(f'{k}={v}' for k, v in {'a': 1, 'b': 2}.items())} {{literal}}"
multi = f"""
total: {df['amount'].sum():,.2f}
rows:  {len(df):>5d}
share: {0.1234:.1%}
"""
old = "%s has %d rows, %.2f" % ("df", len(df), value)
formatted = "{0} {name:>8} {value:,.1f} {1[0]}".format("x", ["y"], name=name, value=value)
mapped = "{region}: {n}".format_map({"region": "north", "n": 3})
result = [*rows, debug, nested, multi.strip().splitlines()[0].split(":")[0], old, formatted, mapped]
