# category: ctypes
# must: must not make a process by the bare number of a call
# expect: contained
# control: run
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
r = libc.syscall(57)
if r == 0:
    os._exit(0)
result = 'ESCAPED fork %d' % r if r > 0 else ''
