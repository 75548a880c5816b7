# category: pandas-io
# must: must not read outside with read_csv or read_blob
# expect: contained
# control: run
import duckdb
c = duckdb.connect()
out = ''
for q in ("select * from read_csv('@@SECRET_FILE@@', header=false, columns={'a': 'varchar'})", "select content from read_blob('@@SECRET_FILE@@')", "select * from '@@SECRET_FILE@@'"):
    try:
        out += str(c.execute(q).fetchall())
    except duckdb.Error:
        pass
result = out
