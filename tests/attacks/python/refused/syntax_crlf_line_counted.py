# expect: python.syntax 4 5
x = 1
y = 2
z = = 3
