# expect: python.syntax 2 4
    x = 1
