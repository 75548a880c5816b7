# category: filesystem-read
# must: must not link a file outside into scratch
# expect: contained
# control: run
import os
os.link('@@SECRET_FILE@@', 'hard')
result = open('hard').read()
