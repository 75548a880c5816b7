# category: proc-read
# must: must not read what /proc and /sys tell of the machine
# expect: contained
# control: run
got = []
for path in ('/proc/kallsyms', '/proc/net/tcp', '/proc/mounts', '/proc/cmdline', '/proc/self/mountinfo', '/sys/class/net/lo/address', '/etc/passwd', '/etc/hostname', '/etc/resolv.conf'):
    try:
        if open(path).read(100):
            got.append(path)
    except OSError:
        pass
result = 'ESCAPED %s' % got if got else ''
