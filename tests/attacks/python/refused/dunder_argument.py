# expect: python.name 2 7
def f(__builtins__): pass
