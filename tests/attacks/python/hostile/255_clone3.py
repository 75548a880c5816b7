# category: ctypes
# must: must not make a process with clone3, whose flags lie in memory
# expect: contained
# control: run
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
args = ctypes.create_string_buffer(struct.pack('=8Q', 0, 0, 0, 0, 17, 0, 0, 0))
r = libc.syscall(435, args, 64)
if r == 0:
    os._exit(0)
result = 'ESCAPED clone3 %d' % r if r > 0 else ''
