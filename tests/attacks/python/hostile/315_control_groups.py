# category: proc-read
# must: must not read from control groups which processes and units there are
# expect: contained
# control: run
import os
found = set()
for base, folders, files in os.walk('/sys/fs/cgroup'):
    for name in files:
        if name in ('cgroup.procs', 'tasks'):
            try:
                found |= set(open(os.path.join(base, name)).read().split())
            except OSError:
                pass
result = 'ESCAPED processes %s' % sorted(found)[:5] if len(found) > 1 else ''
