# expect: python.construct 2 11
run = (1, eval)
