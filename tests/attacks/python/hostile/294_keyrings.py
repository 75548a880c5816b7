# category: ipc
# must: must not leave keys behind or read others
# expect: contained
# control: run
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
r = [libc.syscall(248, b'user', b'pwn', b'data', 4, -4), libc.syscall(250, 0, -4, 1), libc.syscall(249, b'user', b'pwn', None, 0)]
result = 'ESCAPED keys %s' % r if max(r) > 0 else ''
