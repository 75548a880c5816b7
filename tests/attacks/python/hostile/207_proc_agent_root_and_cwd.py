# category: filesystem-read
# must: must not read through the agent's root or working folder in /proc
# expect: contained
# control: run
import os
out = ''
for base in ('/proc/@@AGENT_PID@@/root', '/proc/1/root', '/proc/%d/root' % os.getppid(), '/proc/self/task/%d/root' % os.getpid()):
    try:
        out += open(base + '@@SECRET_FILE@@').read()
    except OSError:
        pass
result = out
