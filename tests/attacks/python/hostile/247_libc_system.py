# category: ctypes
# must: must not start a program through libc
# expect: contained
# control: run
import ctypes
r = ctypes.CDLL(None).system(b'cp @@SECRET_FILE@@ @@OUT_DIR@@/pwned_system.txt')
result = 'ESCAPED system' if r == 0 else ''
