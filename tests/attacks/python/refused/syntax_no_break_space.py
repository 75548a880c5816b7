# expect: python.syntax 2 2
x = 1
