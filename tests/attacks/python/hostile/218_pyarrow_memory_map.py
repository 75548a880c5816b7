# category: pandas-io
# must: must not read a file outside with pyarrow
# expect: contained
# control: run
import pyarrow as pa
result = pa.memory_map('@@SECRET_FILE@@').read().decode() + pa.OSFile('@@SECRET_FILE@@').read().decode()
