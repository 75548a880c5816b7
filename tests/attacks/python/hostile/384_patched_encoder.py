# category: forging
# must: a patched encoder must not deceive what checks the answer
# expect: contained
# control: none
import json, struct, pyarrow as pa, os
json.dumps = lambda *a, **k: '{"forged": true}'
struct.pack = lambda *a: b'\x7f\xff\xff\xff'
result = {'x': 1}
