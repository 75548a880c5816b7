# category: state
# must: a variable that a job sets must not be there for the next
# expect: contained
# control: run
import os
os.environ['MERIDYEN_POISON'] = 'yes'
result = 'set'
