# category: pandas-io
# must: must not map a file outside
# expect: contained
# control: run
import numpy as np
result = bytes(np.memmap('@@SECRET_FILE@@', dtype='u1', mode='r')).decode()
