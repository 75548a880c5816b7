# category: resource
# must: memory of many threads must count together
# expect: contained
# control: run
import threading
keep = []
def eat():
    mine = []
    while True:
        mine.append(b'x' * (1 << 20))
for _ in range(4):
    t = threading.Thread(target=eat, daemon=True)
    t.start()
    keep.append(t)
for t in keep:
    t.join()
