# expect: python.name 3 16
y = 1
x = f"{1:{f'{y.__globals__}'}}"
