# expect: python.name 2 8
x: int.__subclasses__ = 1
