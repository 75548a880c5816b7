# category: filesystem-write
# must: must not log to a file outside
# expect: contained
# control: run
import logging
h = logging.FileHandler('@@OUT_DIR@@/pwned.log')
h.emit(logging.makeLogRecord({'msg': 'x'}))
result = 'ESCAPED log'
