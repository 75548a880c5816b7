# expect: python.name 2 11
x = f"{().__class__}"
