# expect: python.name 2 14
setattr(df, "__code__", 1)
