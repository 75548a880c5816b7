# category: resource
# must: stderr must be capped
# expect: contained
# control: run
import sys
while True:
    sys.stderr.write('x' * 65536)
