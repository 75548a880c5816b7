# category: forging
# must: a result that holds itself must not harm the agent
# expect: contained
# control: none
x = {}
x['x'] = x
result = x
