# category: resource
# must: the number of files must be bounded
# expect: contained
# control: run
n = 0
try:
    for n in range(300000):
        open('f%d' % n, 'w').close()
except OSError:
    pass
result = 'ESCAPED %d files' % n if n > 200000 else ''
