# expect: python.name 2 13
result = ().__class__.__base__.__subclasses__()
