# category: ctypes
# must: must not bypass the filter with high bits in the number of a call
# expect: contained
# control: none
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
got = [hex(n) for n in (41 | 1 << 32, -4294967255) if libc.syscall(ctypes.c_long(n), 2, 1, 0) >= 0]
result = 'ESCAPED %s' % got if got else ''
