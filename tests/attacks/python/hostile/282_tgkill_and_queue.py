# category: signals
# must: must not signal with the calls for threads and queues
# expect: contained
# control: run
import ctypes, signal
libc = ctypes.CDLL(None, use_errno=True)
info = ctypes.create_string_buffer(128)
r = [libc.syscall(234, @@AGENT_PID@@, @@AGENT_PID@@, 15), libc.syscall(200, @@AGENT_PID@@, 15), libc.syscall(129, @@AGENT_PID@@, 15, info)]
result = 'ESCAPED %s' % r if 0 in r else ''
