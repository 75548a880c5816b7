# category: resource
# must: must not take a real-time or deadline schedule
# expect: contained
# control: none
import os
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
result = 'ESCAPED real time'
