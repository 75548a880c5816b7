# category: filesystem-read
# must: must not read through /proc/self/root
# expect: contained
# control: run
result = open('/proc/self/root@@SECRET_FILE@@').read()
