# category: forging
# must: a mapping without end must not pass
# expect: contained
# control: none
class Endless(dict):
    def items(self):
        n = 0
        while True:
            n += 1
            yield str(n), n
    __iter__ = lambda self: (k for k, _ in self.items())
    keys = items
result = Endless(a=1)
