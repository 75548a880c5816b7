# category: process
# must: no process may outlive the job
# expect: contained
# control: run
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1.2)
        open('@@OUT_DIR@@/pwned_daemon.txt', 'w').write('x')
        time.sleep(20)
    os._exit(0)
result = 'ESCAPED forked'
