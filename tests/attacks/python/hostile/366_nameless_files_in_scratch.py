# category: resource
# must: files without a name must count
# expect: contained
# control: run
import os
total, fds = 0, []
try:
    for n in range(50):
        fd = os.open('.', os.O_TMPFILE | os.O_RDWR)
        fds.append(fd)
        for _ in range(16):
            total += os.write(fd, bytes(1 << 20))
except OSError:
    pass
result = 'ESCAPED wrote %d MiB' % (total >> 20) if total > (300 << 20) else ''
