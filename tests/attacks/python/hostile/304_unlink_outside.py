# category: filesystem-write
# must: must not remove a file outside
# expect: contained
# control: run
import os
os.unlink('@@OUT_DIR@@/victim.txt')
result = 'ESCAPED removed'
