# category: process
# must: must not start a process through multiprocessing
# expect: contained
# control: run
import multiprocessing as mp
p = mp.get_context('fork').Process(target=lambda: open('@@OUT_DIR@@/pwned_mp.txt', 'w').write('x'))
p.start()
p.join(2)
result = 'ESCAPED' if p.exitcode == 0 else ''
