# category: resource
# must: memory taken in the encoding of a result must count
# expect: contained
# control: none
class L(list):
    def __iter__(self):
        data = []
        while True:
            data.append(b'x' * (1 << 20))
result = L([1])
