# category: pandas-io
# must: must not read or write outside with pyarrow's formats
# expect: contained
# control: run
import pyarrow as pa, pyarrow.csv, pyarrow.feather
try:
    pyarrow.feather.write_feather(pa.table({'x': [1]}), '@@OUT_DIR@@/pwned.feather')
except OSError:
    pass
result = str(pyarrow.csv.read_csv('@@SECRET_FILE@@').column_names)
