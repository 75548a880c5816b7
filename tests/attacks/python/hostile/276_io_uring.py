# category: network
# must: must not have io_uring, which does what a filter does not see
# expect: contained
# control: run
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
params = ctypes.create_string_buffer(120)
fd = libc.syscall(425, 4, params)
result = 'ESCAPED ring %d' % fd if fd >= 0 else ''
