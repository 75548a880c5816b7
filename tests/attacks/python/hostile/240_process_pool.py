# category: process
# must: must not start a pool of processes
# expect: contained
# control: run
import concurrent.futures as cf, multiprocessing as mp, os
with cf.ProcessPoolExecutor(1, mp_context=mp.get_context('fork')) as pool:
    result = 'ESCAPED pool' if pool.submit(os.getpid).result(2) != os.getpid() else ''
