# category: resource
# must: must not raise its own limits
# expect: contained
# control: none
import resource
got = []
for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_AS, resource.RLIMIT_CORE):
    soft, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY:
        continue
    try:
        resource.setrlimit(kind, (hard, hard + 1))
        got.append(kind)
    except (OSError, ValueError):
        pass
result = 'ESCAPED %s' % got if got else ''
