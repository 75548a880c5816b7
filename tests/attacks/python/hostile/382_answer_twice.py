# category: forging
# must: nothing may follow a whole answer
# expect: contained
# control: none
import atexit, os, threading
def more():
    for fd in range(3, 8):
        try:
            os.write(fd, b'\0\0\0\x08FORGED!!' * 10)
        except OSError:
            pass
class D:
    def __del__(self):
        more()
keep = D()
atexit.register(more)
threading.Timer(0.01, more).start()
result = {'x': 1}
