# category: pandas-io
# must: must not read outside with a lazy scan
# expect: contained
# control: run
import polars as pl
result = str(pl.scan_csv('@@SECRET_FILE@@', has_header=False).collect().rows())
