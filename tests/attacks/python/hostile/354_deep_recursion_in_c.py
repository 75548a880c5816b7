# category: resource
# must: a stack that overflows must not harm the agent
# expect: contained
# control: none
class A:
    pass
x = []
for _ in range(10 ** 6):
    x = [x]
result = repr(x) == str(x)
