# category: pandas-io
# must: must not write outside through a profile, a log or a temporary folder
# expect: contained
# control: run
import duckdb
c = duckdb.connect()
c.execute("set enable_profiling='json'; set profiling_output='@@OUT_DIR@@/pwned_profile.json'")
c.execute("select 42").fetchall()
c.close()
result = ''
