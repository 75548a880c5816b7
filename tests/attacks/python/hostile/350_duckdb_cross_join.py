# category: resource
# must: a query without end must be ended
# expect: contained
# control: run
import duckdb
result = duckdb.sql('select count(*) from range(1000000) a, range(1000000) b where a.range * b.range = 7').fetchall()[0][0]
