# expect: python.name 2 6
os = __import__("os")
