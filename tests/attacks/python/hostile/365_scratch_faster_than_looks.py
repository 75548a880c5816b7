# category: resource
# must: what is written between two looks at scratch must be bounded
# expect: contained
# control: run
import os
for n in range(3500):
    open('small%d' % n, 'w').close()
page = bytes(1 << 20)
for n in range(60):
    fd = os.open('small%d' % n, os.O_WRONLY)
    for _ in range(60):
        os.write(fd, page)
print('ESCAPED wrote %d MiB' % (60 * 60))
