# category: state
# must: a changed method must not be there for the next
# expect: contained
# control: run
import ctypes, gc
d = gc.get_referents(str.__dict__)[0]
d['meridyen_poison'] = lambda self: 'yes'
ctypes.pythonapi.PyType_Modified(ctypes.py_object(str))
result = ''.meridyen_poison()
