# category: signals
# must: must not signal every process it could
# expect: contained
# control: none
import os, signal
for target in (-1, 0, -os.getppid() or -1):
    try:
        os.kill(target, signal.SIGTERM)
    except OSError:
        pass
result = 'unharmed'
