# category: state
# must: a constant overwritten in memory must not be there for the next
# expect: contained
# control: run
import ctypes
ctypes.memmove(id(199) + 24, (200).to_bytes(4, 'little'), 4)
result = 'set'
