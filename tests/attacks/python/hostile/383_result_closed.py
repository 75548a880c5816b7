# category: forging
# must: a closed result must be no result
# expect: contained
# control: none
import os
for fd in range(3, 64):
    try:
        os.close(fd)
    except OSError:
        pass
result = 'x'
