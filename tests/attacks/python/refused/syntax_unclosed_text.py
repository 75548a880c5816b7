# expect: python.syntax 2 10
result = "abc
