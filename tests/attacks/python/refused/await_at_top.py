# expect: python.construct 2 10
result = await df
