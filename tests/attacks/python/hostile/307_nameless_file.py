# category: filesystem-write
# must: must not make a nameless file outside
# expect: contained
# control: run
import os
fd = os.open('@@OUT_DIR@@', os.O_TMPFILE | os.O_RDWR)
result = 'ESCAPED wrote %d' % os.write(fd, b'x' * 1000)
