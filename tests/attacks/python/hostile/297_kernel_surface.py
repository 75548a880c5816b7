# category: ctypes
# must: must not reach bpf, perf events, userfaultfd, fanotify, secret memory
# expect: contained
# control: run
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
attr = ctypes.create_string_buffer(128)
attr.raw = b'\x01\0\0\0\x80\0\0\0' + bytes(120)
r = {'bpf': libc.syscall(321, 0, ctypes.create_string_buffer(b'\x02\0\0\0\x04\0\0\0\x08\0\0\0\x01\0\0\0' + bytes(112)), 72), 'perf': libc.syscall(298, attr, 0, -1, -1, 0), 'uffd': libc.syscall(323, 1), 'fanotify': libc.syscall(300, 0, 0), 'memfd_secret': libc.syscall(447, 0), 'kcmp': libc.syscall(312, @@AGENT_PID@@, @@AGENT_PID@@, 0, 0, 0)}
result = 'ESCAPED %s' % r if max(r.values()) >= 0 else ''
