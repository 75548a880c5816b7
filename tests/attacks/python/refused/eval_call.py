# expect: python.construct 2 10
result = eval("1+1")
