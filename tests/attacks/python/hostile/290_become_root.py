# category: capabilities
# must: must not change its account or groups
# expect: contained
# control: run
import os
got = []
for what in (lambda: os.setgroups([0]), lambda: os.setresgid(0, 0, 0), lambda: os.setresuid(0, 0, 0)):
    try:
        what()
        got.append(1)
    except OSError:
        pass
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(126, struct.pack('=Ii', 0x20080522, 0), struct.pack('=IIIIII', 0xffffffff, 0xffffffff, 0, 0x1ff, 0x1ff, 0)) == 0:
    got.append('capset')
result = 'ESCAPED %s' % got if 'capset' in got else ''
