# expect: python.syntax 2 1
yield 1
