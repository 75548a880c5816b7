# category: resource
# must: memory must stay within the limit
# expect: contained
# control: run
data = []
while True:
    data.append(b'x' * (1 << 20))
