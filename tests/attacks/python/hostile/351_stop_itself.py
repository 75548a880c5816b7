# category: signals
# must: a job that stops itself must be ended
# expect: contained
# control: run
import os, signal
os.kill(os.getpid(), signal.SIGSTOP)
result = 'woken'
