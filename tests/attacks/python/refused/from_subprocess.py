# expect: python.import 3 10
def f():
    from subprocess import run
