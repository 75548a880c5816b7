# expect: python.construct 3 5
def f():
    compile("1", "x", "eval")
