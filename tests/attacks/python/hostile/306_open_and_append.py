# category: filesystem-write
# must: must not append to a file outside
# expect: contained
# control: run
import os
fd = os.open('@@OUT_DIR@@/victim.txt', os.O_WRONLY | os.O_APPEND)
os.write(fd, b'x')
result = 'ESCAPED appended'
