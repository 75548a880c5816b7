# category: process
# must: must not read or write another process's memory
# expect: contained
# control: run
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer(64)
local = struct.pack('=QQ', ctypes.addressof(buf), 64)
remote = struct.pack('=QQ', @@AGENT_ADDRESS@@, 40)
r = libc.syscall(310, @@AGENT_PID@@, local, 1, remote, 1, 0)
result = 'ESCAPED read %r' % buf.raw if r > 0 else ''
