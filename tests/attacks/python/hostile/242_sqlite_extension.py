# category: ctypes
# must: must not load a native library from a folder outside through sqlite3
# expect: contained
# control: none
import sqlite3
c = sqlite3.connect(':memory:')
c.enable_load_extension(True)
c.load_extension('@@OUT_DIR@@/outside_module.so')
result = 'ESCAPED extension'
