# category: process
# must: must not change where and when another process runs
# expect: contained
# control: run
import os
got = []
for what in (lambda: os.sched_setaffinity(@@AGENT_PID@@, {0}), lambda: os.setpriority(os.PRIO_PROCESS, @@AGENT_PID@@, 19)):
    try:
        what()
        got.append(1)
    except OSError:
        pass
result = 'ESCAPED changed the schedule' if got else ''
