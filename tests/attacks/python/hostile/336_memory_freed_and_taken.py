# category: resource
# must: the parent's own pages must not hide growth
# expect: contained
# control: run
import gc, sys
for name in list(sys.modules):
    if name.startswith(('pandas', 'duckdb', 'scipy', 'matplotlib')):
        del sys.modules[name]
gc.collect()
data = []
while True:
    data.append(b'x' * (1 << 20))
