# category: resource
# must: a flood must not keep the result from its limit
# expect: contained
# control: run
import os
for _ in range(2000):
    os.write(1, b'x' * 65536)
result = 1
