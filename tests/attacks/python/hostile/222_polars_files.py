# category: pandas-io
# must: must not read or write outside with polars
# expect: contained
# control: run
import polars as pl
try:
    pl.DataFrame({'x': [1]}).write_csv('@@OUT_DIR@@/pwned_pl.csv')
except OSError:
    pass
result = str(pl.read_csv('@@SECRET_FILE@@', has_header=False))
