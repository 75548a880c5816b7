# category: forging
# must: a frame whose buffers lie must be refused, not crash the agent
# expect: contained
# control: none
import pyarrow as pa
bad = pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(b'\0\0\0\0\xff\xff\xff\x7f\0\0\0\x01\xff\xff\xff\x7f'), pa.py_buffer(b'abc')])
result = pa.table({'x': bad})
