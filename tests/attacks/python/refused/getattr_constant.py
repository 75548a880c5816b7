# expect: python.name 2 23
result = getattr(df, "__class__")
