# expect: python.name 2 1
__builtins__ = {}
