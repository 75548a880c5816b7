# category: resource
# must: deleted files that are still open must count
# expect: contained
# control: run
import os
total, fds = 0, []
try:
    for n in range(50):
        fd = os.open('gone', os.O_RDWR | os.O_CREAT)
        os.unlink('gone')
        fds.append(fd)
        for _ in range(16):
            total += os.write(fd, bytes(1 << 20))
except OSError:
    pass
result = 'ESCAPED wrote %d MiB' % (total >> 20) if total > (300 << 20) else ''
