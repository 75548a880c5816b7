# category: resource
# must: threads must not get tables of descriptors of their own, which are counted apart
# expect: contained
# control: none
import ctypes, mmap, os
# clone(CLONE_VM|CLONE_SIGHAND|CLONE_THREAD) without CLONE_FILES; the child: exit(0)
code = b'\xb8\x38\0\0\0\xbf\x00\x09\x01\x00\x48\xbe' + b'STACKPTR' + b'\x31\xd2\x4d\x31\xd2\x4d\x31\xc0\x0f\x05\x85\xc0\x74\x01\xc3\xb8\x3c\0\0\0\x31\xff\x0f\x05'
stack = mmap.mmap(-1, 1 << 16, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
top = ctypes.addressof(ctypes.c_char.from_buffer(stack)) + (1 << 16) - 64
m = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
m.write(code.replace(b'STACKPTR', top.to_bytes(8, 'little')))
r = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
result = 'ESCAPED thread %d' % r if r > 0 else ''
