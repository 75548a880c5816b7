# expect: python.name 2 5
@df.__getstate_x__
def f(): pass
