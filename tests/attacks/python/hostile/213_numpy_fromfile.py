# category: pandas-io
# must: must not read a file outside with numpy
# expect: contained
# control: run
import numpy as np
result = np.fromfile('@@SECRET_FILE@@', dtype='u1').tobytes().decode()
