# category: filesystem-read
# must: must not list a folder outside
# expect: contained
# control: run
import os
result = 'ESCAPED listing %s' % os.listdir('@@OTHER_JOB_DIR@@')
