# category: resource
# must: pages gifted to pipes must be bounded
# expect: contained
# control: run
import ctypes, mmap, os, struct
libc = ctypes.CDLL(None, use_errno=True)
held, keep = 0, []
try:
    for _ in range(2000):
        r, w = os.pipe()
        os.set_blocking(w, False)
        libc.fcntl(w, 1031, 1 << 20)
        keep += [r, w]
        m = mmap.mmap(-1, 1 << 20)
        m[:] = b'x' * (1 << 20)
        where = ctypes.addressof(ctypes.c_char.from_buffer(m))
        n = libc.syscall(278, w, struct.pack('=QQ', where, 1 << 20), 1, 8)
        held += max(n, 0)
except OSError:
    pass
result = 'ESCAPED %d MiB held by pipes' % (held >> 20) if held > (16 << 20) else ''
