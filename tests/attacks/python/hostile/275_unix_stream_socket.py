# category: network
# must: must not connect to a socket file as a stream
# expect: contained
# control: run
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.connect('@@UNIX_SOCK@@')
s.send(b'leak')
result = 'ESCAPED'
