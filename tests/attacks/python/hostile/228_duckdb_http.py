# category: network
# must: must not fetch over HTTP with DuckDB
# expect: contained
# control: none
import duckdb
c = duckdb.connect()
result = str(c.execute("select content from read_text('http://127.0.0.1:@@TCP_PORT@@/leak')").fetchall())
