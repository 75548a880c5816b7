# expect: python.name 3 13
class A:
    x = int.__mro__
