# expect: python.name 3 3
def f(): pass
f.__code__ = None
