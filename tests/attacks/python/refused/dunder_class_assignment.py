# expect: python.name 5 3
class A: pass
class B: pass
a = A()
a.__class__ = B
