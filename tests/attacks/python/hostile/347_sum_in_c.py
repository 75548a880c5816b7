# category: resource
# must: one long call of C must be ended
# expect: contained
# control: run
result = sum(range(10 ** 13))
