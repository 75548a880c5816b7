# category: forging
# must: a length of gigabytes must not be believed
# expect: contained
# control: none
import os
for fd in range(3, 8):
    try:
        os.write(fd, b'\xff' * 64)
    except OSError:
        pass
os._exit(0)
