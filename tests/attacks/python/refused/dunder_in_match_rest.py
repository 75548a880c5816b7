# expect: python.name 3 13
match df:
    case {**__builtins__}: pass
