# category: filesystem-read
# must: must not read where a symbolic link outside points to
# expect: contained
# control: run
import os
result = os.readlink('@@OTHER_JOB_DIR@@/link')
