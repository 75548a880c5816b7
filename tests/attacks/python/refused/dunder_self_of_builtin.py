# expect: python.name 2 7
print.__self__
