# category: resource
# must: must not lock memory
# expect: contained
# control: run
import ctypes, mmap
libc = ctypes.CDLL(None, use_errno=True)
m = mmap.mmap(-1, 1 << 20)
r = libc.mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m))), 1 << 20)
result = 'ESCAPED locked' if r == 0 else ''
