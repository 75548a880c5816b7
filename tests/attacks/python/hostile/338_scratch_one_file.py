# category: resource
# must: one file must have a size
# expect: contained
# control: run
import os
fd = os.open('big', os.O_RDWR | os.O_CREAT)
try:
    os.posix_fallocate(fd, 0, 2 << 30)
    size = os.fstat(fd).st_blocks * 512
except OSError:
    size = 0
result = 'ESCAPED %d MiB' % (size >> 20) if size > (300 << 20) else ''
