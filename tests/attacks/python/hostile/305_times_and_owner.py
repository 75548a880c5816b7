# category: filesystem-write
# must: must not change times, owner or mode of a file outside
# expect: contained
# control: run
import os
for what in (lambda: os.utime('@@OUT_DIR@@/victim.txt', (1, 1)), lambda: os.chmod('@@OUT_DIR@@/victim.txt', 0o777), lambda: os.chown('@@OUT_DIR@@/victim.txt', os.getuid(), os.getgid())):
    try:
        what()
    except OSError:
        pass
result = ''
