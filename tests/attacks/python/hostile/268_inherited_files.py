# category: descriptors
# must: must not find a descriptor of the agent
# expect: contained
# control: run
import os, stat
found = []
for fd in range(0, 4096):
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        continue
    if not stat.S_ISFIFO(mode) and not stat.S_ISCHR(mode):
        found.append(fd)
        try:
            os.lseek(fd, 0, 0)
            found.append(os.read(fd, 200).decode('latin-1'))
        except OSError:
            pass
result = 'ESCAPED %s' % found if found else ''
