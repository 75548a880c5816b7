# category: ctypes
# must: must not bypass a rule on an argument with its high bits
# expect: contained
# control: run
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
r = libc.syscall(62, ctypes.c_long((os.getpid() << 32) | @@AGENT_PID@@), 15)
result = 'ESCAPED signalled' if r == 0 else ''
