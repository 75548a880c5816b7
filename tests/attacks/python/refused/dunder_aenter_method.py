# expect: python.name 3 9
class R:
    def __aenter__(self):
        return self
