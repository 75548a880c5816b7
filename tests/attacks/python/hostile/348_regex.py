# category: resource
# must: a regular expression that backtracks must be ended
# expect: contained
# control: run
import re
result = bool(re.match(r'(a+)+$', 'a' * 64 + 'b'))
