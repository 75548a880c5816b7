# category: namespaces
# must: must not mount or unmount anything
# expect: contained
# control: run
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
got = [libc.mount(b'x', b'/tmp', b'tmpfs', 0, None), libc.umount2(b'/proc', 2), libc.syscall(155, b'.', b'.'), libc.syscall(430, b'tmpfs', 0), libc.syscall(428, -100, b'/', 1)]
result = 'ESCAPED mount %s' % got if max(got) >= 0 else ''
