# category: signals
# must: a job that ignores all signals and the CPU limit must be ended
# expect: contained
# control: run
import signal
for s in range(1, 65):
    try:
        signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
