# expect: python.name 3 12
def f():
    global __builtins__
