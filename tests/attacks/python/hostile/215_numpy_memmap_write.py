# category: pandas-io
# must: must not change a file outside through a mapping
# expect: contained
# control: run
import numpy as np
m = np.memmap('@@OUT_DIR@@/victim.txt', dtype='u1', mode='r+')
m[0] = 88
m.flush()
result = 'ESCAPED mapped'
