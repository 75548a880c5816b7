# category: resource
# must: scratch must have a size
# expect: contained
# control: run
import os
total = 0
try:
    for n in range(400):
        with open('fill%d' % n, 'wb') as f:
            for _ in range(8):
                total += f.write(bytes(1 << 20))
except OSError:
    pass
result = 'ESCAPED wrote %d MiB' % (total >> 20) if total > (300 << 20) else ''
