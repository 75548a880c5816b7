# category: network
# must: must not reach an abstract unix socket
# expect: contained
# control: run
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b'leak', '\0@@ABSTRACT@@')
result = 'ESCAPED'
