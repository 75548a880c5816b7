# category: process
# must: must not find out which processes there are
# expect: contained
# control: run
import os, resource
seen = set()
for pid in list(range(2, 400)) + [@@AGENT_PID@@]:
    for ask in (os.getpgid, os.getsid, os.sched_getaffinity, os.sched_getscheduler, lambda p: os.getpriority(0, p), lambda p: resource.prlimit(p, 7), lambda p: os.kill(p, 0)):
        if pid != os.getpid():
            try:
                ask(pid)
                seen.add(pid)
            except ProcessLookupError:
                pass
            except OSError:
                pass
result = 'ESCAPED saw %d processes' % len(seen) if @@AGENT_PID@@ in seen else ''
