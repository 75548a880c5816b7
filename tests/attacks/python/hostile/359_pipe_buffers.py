# category: resource
# must: buffers of pipes must be bounded
# expect: contained
# control: run
import fcntl, os
total = 0
try:
    for _ in range(600):
        r, w = os.pipe()
        try:
            fcntl.fcntl(w, 1031, 1 << 20)
        except OSError:
            pass
        os.set_blocking(w, False)
        try:
            while True:
                total += os.write(w, bytes(1 << 16))
        except BlockingIOError:
            pass
except OSError:
    pass
result = 'ESCAPED %d MiB in pipes' % (total >> 20) if total > (16 << 20) else ''
