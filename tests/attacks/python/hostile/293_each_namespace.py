# category: namespaces
# must: must not make a namespace of any kind
# expect: contained
# control: run
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
got = [hex(f) for f in (0x10000000, 0x20000, 0x40000000, 0x8000000, 0x4000000, 0x2000000, 0x20000000, 0x80, 0x10020000) if libc.unshare(f) == 0]
result = 'ESCAPED %s' % got if got else ''
