# category: filesystem-read
# must: must not read through an import loader or linecache
# expect: contained
# control: run
import importlib.machinery, linecache
out = ''.join(linecache.getlines('@@SECRET_FILE@@'))
try:
    out += importlib.machinery.SourceFileLoader('x', '@@SECRET_FILE@@').get_data('@@SECRET_FILE@@').decode()
except OSError:
    pass
result = out
