# category: resource
# must: sleeping must be ended
# expect: contained
# control: run
import time
result = sorted([3, 2, 1], key=lambda x: time.sleep(60))
