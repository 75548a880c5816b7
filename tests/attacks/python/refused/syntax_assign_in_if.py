# expect: python.syntax 2 4
if x = 1: pass
