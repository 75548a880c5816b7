# category: resource
# must: shared anonymous pages must count
# expect: contained
# control: run
import mmap
data = []
while True:
    m = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    for at in range(0, 16 << 20, 4096):
        m[at] = 1
    data.append(m)
