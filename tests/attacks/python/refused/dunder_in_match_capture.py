# expect: python.name 3 12
match df:
    case [*__builtins__]: pass
