# category: pandas-io
# must: must not read or write outside with pyarrow's file systems
# expect: contained
# control: run
from pyarrow import fs
local = fs.LocalFileSystem()
with local.open_output_stream('@@OUT_DIR@@/pwned_pa.txt') as f:
    f.write(b'x')
result = local.open_input_stream('@@SECRET_FILE@@').read().decode()
