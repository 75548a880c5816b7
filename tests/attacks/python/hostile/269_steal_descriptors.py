# category: descriptors
# must: must not take a descriptor out of another process
# expect: contained
# control: run
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
got = []
for pid in (os.getppid(), @@AGENT_PID@@, 1):
    p = libc.syscall(434, pid, 0)
    if p >= 0:
        got += [fd for fd in range(0, 20) if libc.syscall(438, p, fd, 0) >= 0]
result = 'ESCAPED stole %s' % got if got else ''
