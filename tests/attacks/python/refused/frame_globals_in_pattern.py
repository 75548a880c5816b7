# expect: python.name 3 17
match df:
    case object(f_globals=g): pass
