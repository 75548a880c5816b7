# category: resource
# must: a process that names itself must not deceive who measures it
# expect: contained
# control: run
import ctypes, time
libc = ctypes.CDLL(None)
libc.prctl(15, b'x)\nRssAnon: 0', 0, 0, 0)
data = []
while len(data) < 1500:
    data.append(b'x' * (1 << 20))
print('ESCAPED held %d MiB' % len(data), flush=True)
time.sleep(60)
