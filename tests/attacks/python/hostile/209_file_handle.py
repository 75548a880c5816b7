# category: filesystem-read
# must: must not turn a path into a handle that other calls open
# expect: contained
# control: none
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
handle = ctypes.create_string_buffer(b'\x80\0\0\0' + bytes(140))
mount = ctypes.c_int()
r = libc.syscall(303, -100, b'@@SECRET_FILE@@', handle, ctypes.byref(mount), 0)
result = 'ESCAPED handle' if r == 0 else ''
