# expect: python.syntax 2 1
break
