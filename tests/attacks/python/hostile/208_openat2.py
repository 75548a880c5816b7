# category: filesystem-read
# must: must not read outside with openat2
# expect: contained
# control: run
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
how = struct.pack('=QQQ', os.O_RDONLY, 0, 0)
fd = libc.syscall(437, -100, b'@@SECRET_FILE@@', how, len(how))
result = os.read(fd, 1000).decode() if fd >= 0 else ''
