# category: filesystem-read
# must: must not run a module from a folder outside
# expect: contained
# control: run
import sys, importlib
sys.path.insert(0, '@@OUT_DIR@@')
importlib.invalidate_caches()
import outside_module
result = 'ESCAPED ' + outside_module.WHO
