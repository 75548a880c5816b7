# category: pandas-io
# must: must not make a database outside
# expect: contained
# control: run
import duckdb
c = duckdb.connect()
c.execute("attach '@@OUT_DIR@@/pwned.duckdb' as o; create table o.t as select 1 as x; detach o")
result = 'ESCAPED attached'
