# category: proc-read
# must: must not open the agent's files through /proc
# expect: contained
# control: run
import os
got = []
for pid in (os.getppid(), @@AGENT_PID@@):
    for fd in range(0, 30):
        try:
            os.open('/proc/%d/fd/%d' % (pid, fd), os.O_RDONLY | os.O_NONBLOCK)
            got.append(fd)
        except OSError:
            pass
result = 'ESCAPED %s' % got if got else ''
