# category: process
# must: a fork bomb must not start
# expect: contained
# control: run
import os, time
n = 0
for _ in range(8):
    if os.fork() == 0:
        time.sleep(15)
        os._exit(0)
    n += 1
result = 'ESCAPED %d processes' % n
