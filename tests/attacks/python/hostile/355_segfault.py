# category: process
# must: a crash must be reported as one
# expect: contained
# control: none
import ctypes
ctypes.string_at(8)
