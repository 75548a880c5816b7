# expect: python.syntax 2 7
class = 1
