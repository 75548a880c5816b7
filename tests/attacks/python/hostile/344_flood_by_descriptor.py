# category: resource
# must: a flood into every descriptor must be bounded
# expect: contained
# control: run
import os
while True:
    alive = 0
    for fd in range(1, 64):
        try:
            os.write(fd, b'x' * 65536)
            alive += 1
        except OSError:
            pass
    if not alive:
        break
