# category: pandas-io
# must: must not list a folder outside
# expect: contained
# control: run
import duckdb
found = duckdb.connect().execute("select file from glob('@@OTHER_JOB_DIR@@/*')").fetchall()
result = 'ESCAPED listing %s' % found if found else ''
