# category: filesystem-read
# must: must not see the scratch folders of other jobs
# expect: contained
# control: run
import os
here = os.getcwd()
result = 'ESCAPED neighbours %s' % os.listdir(os.path.dirname(here)) if here != '/' else ''
