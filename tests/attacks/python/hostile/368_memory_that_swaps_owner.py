# category: resource
# must: the pages that a job shares with its server must not become a second allowance
# expect: contained
# control: run
import gc
data = []
gc.disable()
for o in gc.get_objects():
    try:
        data.append(o.__sizeof__())
    except Exception:
        pass
held = []
while len(held) < 1500:
    held.append(b'x' * (1 << 20))
print('ESCAPED held %d MiB' % len(held), flush=True)
