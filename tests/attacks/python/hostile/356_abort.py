# category: process
# must: an abort must be reported as one
# expect: contained
# control: none
import os
os.abort()
