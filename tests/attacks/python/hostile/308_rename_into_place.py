# category: filesystem-write
# must: must not move a file of scratch outside
# expect: contained
# control: run
import os
open('mine', 'w').write('x')
os.rename('mine', '@@OUT_DIR@@/pwned_renamed')
result = 'ESCAPED moved'
