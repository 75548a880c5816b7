# expect: python.syntax 2 11
result = f(1,
