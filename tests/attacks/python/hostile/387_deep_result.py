# category: forging
# must: a result nested a million deep must not harm the agent
# expect: contained
# control: none
x = None
for _ in range(10 ** 6):
    x = [x]
result = x
