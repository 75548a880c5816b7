# category: network
# must: must not open a TCP connection over IPv6
# expect: contained
# control: none
import socket
s = socket.create_connection(('::1', @@TCP_PORT@@), 2)
s.sendall(b'leak')
result = 'ESCAPED'
