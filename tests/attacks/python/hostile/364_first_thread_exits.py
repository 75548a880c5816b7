# category: resource
# must: memory must count also when the first thread is gone
# expect: contained
# control: run
import ctypes, threading, time
def eat():
    data = []
    while len(data) < 900:
        data.append(b'x' * (1 << 20))
    print('ESCAPED held %d MiB' % len(data), flush=True)
    time.sleep(60)
threading.Thread(target=eat).start()
time.sleep(0.05)
ctypes.CDLL(None).syscall(60, 0)
