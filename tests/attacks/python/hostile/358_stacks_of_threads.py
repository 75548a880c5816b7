# category: resource
# must: the stacks of threads must count
# expect: contained
# control: run
import threading
threading.stack_size(256 << 20)
n, keep = 0, threading.Event()
try:
    for _ in range(64):
        threading.Thread(target=keep.wait, daemon=True).start()
        n += 1
except RuntimeError:
    pass
result = 'ESCAPED %d GiB of stacks' % (n // 4) if n >= 64 else ''
