# category: pandas-io
# must: must not export a database outside
# expect: contained
# control: run
import duckdb
c = duckdb.connect()
c.execute("create table t as select 1 as x; export database '@@OUT_DIR@@/pwned_export'")
result = 'ESCAPED exported'
