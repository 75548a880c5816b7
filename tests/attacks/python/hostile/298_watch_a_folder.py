# category: filesystem-read
# must: must not watch what happens in a folder outside
# expect: contained
# control: run
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init1(0o4000)
r = libc.inotify_add_watch(fd, b'@@OTHER_JOB_DIR@@', 0xfff) if fd >= 0 else -1
result = 'ESCAPED watching' if r >= 0 else ''
