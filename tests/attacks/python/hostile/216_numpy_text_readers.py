# category: pandas-io
# must: must not read a file outside with numpy's text readers
# expect: contained
# control: run
import numpy as np
out = ''
for read in (np.loadtxt, np.genfromtxt):
    try:
        out += str(read('@@SECRET_FILE@@', dtype=str, delimiter=','))
    except OSError:
        pass
result = out
