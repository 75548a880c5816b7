# category: process
# must: must not start worker processes through joblib
# expect: contained
# control: run
import os
from joblib import Parallel, delayed
pids = set(Parallel(n_jobs=2, timeout=2)(delayed(os.getpid)() for _ in range(4)))
result = 'ESCAPED processes' if pids - {os.getpid()} else ''
