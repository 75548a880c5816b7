# category: forging
# must: metadata of a frame must not carry secrets or code out
# expect: contained
# control: none
import pyarrow as pa
result = pa.table({'x': [1]}).replace_schema_metadata({'pandas': '{"x": ' * 1000, 'ARROW:extension:name': 'arrow.py_extension_type'})
