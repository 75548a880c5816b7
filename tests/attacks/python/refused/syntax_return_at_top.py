# expect: python.syntax 3 1
x = 1
return x
