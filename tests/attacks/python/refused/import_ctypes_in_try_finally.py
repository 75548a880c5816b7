# expect: python.import 3 12
try:
    import ctypes
finally:
    pass
