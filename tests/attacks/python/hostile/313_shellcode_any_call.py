# category: ctypes
# must: code made in memory must be under the same filter
# expect: contained
# control: run
import ctypes, mmap
# mov eax,41; mov edi,2; mov esi,1; xor edx,edx; syscall; ret
code = b'\xb8\x29\0\0\0\xbf\x02\0\0\0\xbe\x01\0\0\0\x31\xd2\x0f\x05\xc3'
m = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
m.write(code)
r = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
result = 'ESCAPED socket %d' % r if r >= 0 else ''
