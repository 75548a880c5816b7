# category: process
# must: must not open a terminal or push characters into one
# expect: contained
# control: run
import os
a, b = os.openpty()
result = 'ESCAPED terminal'
