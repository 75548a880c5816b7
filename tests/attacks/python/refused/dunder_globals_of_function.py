# expect: python.name 4 12
def f():
    pass
result = f.__globals__
