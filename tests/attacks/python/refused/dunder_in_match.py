# expect: python.name 3 17
match df:
    case object(__class__=c): pass
