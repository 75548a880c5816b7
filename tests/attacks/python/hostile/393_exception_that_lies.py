# category: forging
# must: an exception whose text runs code must harm nobody
# expect: contained
# control: none
class E(Exception):
    def __str__(self):
        while True:
            pass
    __repr__ = __str__
raise E
