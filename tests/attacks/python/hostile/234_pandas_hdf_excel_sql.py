# category: pandas-io
# must: must not write outside with any writer of pandas
# expect: contained
# control: run
import pandas as pd
for name, write in (('pwned.json', df.to_json), ('pwned.parquet', df.to_parquet), ('pwned.html', df.to_html), ('pwned.pkl', df.to_pickle)):
    try:
        write('@@OUT_DIR@@/' + name)
    except OSError:
        pass
result = ''
