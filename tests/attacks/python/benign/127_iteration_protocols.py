class Countdown:
    def __init__(self, start):
        self.start = start

    def __iter__(self):
        n = self.start
        while n > 0:
            yield n
            n -= 1

    def __len__(self):
        return self.start

    def __getitem__(self, key):
        if isinstance(key, slice):
            return [self[i] for i in range(*key.indices(len(self)))]
        return self.start - key

    def __contains__(self, value):
        return 0 < value <= self.start

    def __eq__(self, other):
        return isinstance(other, Countdown) and self.start == other.start

    def __add__(self, other):
        if other.__class__ is not self.__class__ or not isinstance(other, (self.__class__, int)):
            return NotImplemented
        return self.__class__(self.start + other.start)

    def __hash__(self):
        return hash(self.start)

    __str__ = lambda self: f"Countdown({self.start})"


c = Countdown(4)
result = {"list": list(c), "len": len(c), "slice": c[1:3], "has": 2 in c, "equal": c == Countdown(4), "text": str(c), "sum": str(c + c), "set": len({c, Countdown(4)}), "reversed": sorted(c)}
