# category: resource
# must: memory must stay within the limit
# expect: contained
# control: run
import numpy as np
data = []
while True:
    data.append(np.ones(1 << 20))
