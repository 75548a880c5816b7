# expect: python.name 2 13
path = repr(__file__)
