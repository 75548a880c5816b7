# category: filesystem-read
# must: must not open below a path-only descriptor of the root
# expect: contained
# control: run
import os
d = os.open('/', os.O_PATH | os.O_DIRECTORY)
fd = os.open('@@SECRET_FILE@@'.lstrip('/'), os.O_RDONLY, dir_fd=d)
result = os.read(fd, 1000).decode()
