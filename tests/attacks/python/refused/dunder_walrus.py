# expect: python.name 2 2
(__loader__ := 1)
