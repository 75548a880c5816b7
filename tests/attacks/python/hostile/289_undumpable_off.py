# category: process
# must: must not become dumpable again
# expect: contained
# control: run
import ctypes
libc = ctypes.CDLL(None)
libc.prctl(4, 1, 0, 0, 0)
result = 'ESCAPED dumpable' if libc.prctl(3, 0, 0, 0, 0) == 1 else ''
