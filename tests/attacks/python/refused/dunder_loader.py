# expect: python.name 2 4
df.__loader__
