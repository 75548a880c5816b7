# expect: python.name 2 17
f = lambda x=df.__self__: x
