# category: namespaces
# must: must not join the namespaces of the agent
# expect: contained
# control: none
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
got = []
for name in ('user', 'mnt', 'net', 'pid', 'ipc'):
    try:
        fd = os.open('/proc/@@AGENT_PID@@/ns/' + name, os.O_RDONLY)
        got.append(libc.setns(fd, 0))
    except OSError:
        pass
p = libc.syscall(434, @@AGENT_PID@@, 0)
got.append(libc.setns(p, 0x20000) if p >= 0 else -1)
result = 'ESCAPED setns' if 0 in got else ''
