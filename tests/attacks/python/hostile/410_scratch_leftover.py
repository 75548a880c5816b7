# category: state
# must: what a job leaves in scratch must not be there for the next
# expect: contained
# control: run
import os
open('MERIDYEN_LEFT', 'w').write('x')
result = 'left'
