# category: network
# must: must not find a socket among its descriptors
# expect: contained
# control: run
import os, socket, stat
found = []
for fd in range(0, 4096):
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            found.append(fd)
    except OSError:
        pass
result = 'ESCAPED sockets %s' % found if found else ''
