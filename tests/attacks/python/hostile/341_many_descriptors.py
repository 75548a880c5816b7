# category: resource
# must: open files must be bounded
# expect: contained
# control: run
import os
fds = []
try:
    while len(fds) < 4000:
        fds += os.pipe()
except OSError:
    pass
result = 'ESCAPED %d descriptors' % len(fds) if len(fds) > 1024 else ''
