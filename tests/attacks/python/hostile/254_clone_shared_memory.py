# category: ctypes
# must: must not clone a process that shares memory with the job
# expect: contained
# control: run
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
r = libc.syscall(56, 0x00000200 | 17, 0, 0, 0, 0)
if r == 0:
    os._exit(0)
result = 'ESCAPED clone %d' % r if r > 0 else ''
