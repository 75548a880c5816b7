# category: ctypes
# must: must not bypass the filter with the x32 numbers
# expect: contained
# control: none
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
r = libc.syscall(0x40000000 | 41, 2, 1, 0)
result = 'ESCAPED x32 socket' if r >= 0 else ''
