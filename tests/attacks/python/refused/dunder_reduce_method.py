# expect: python.name 3 9
class R:
    def __reduce__(self):
        return (print, ())
