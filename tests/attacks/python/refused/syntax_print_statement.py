# expect: python.syntax 2 1
print "x"
