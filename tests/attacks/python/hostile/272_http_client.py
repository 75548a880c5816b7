# category: network
# must: must not fetch with the standard library
# expect: contained
# control: run
import urllib.request
result = urllib.request.urlopen('http://127.0.0.1:@@TCP_PORT@@/leak', timeout=1).read().decode()
