# category: pandas-io
# must: must not read a file outside with any reader of pandas
# expect: contained
# control: run
import pandas as pd
out = ''
for read in (pd.read_csv, pd.read_table, pd.read_fwf):
    try:
        out += str(list(read('@@SECRET_FILE@@').columns))
    except OSError:
        pass
result = out
