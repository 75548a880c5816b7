# category: network
# must: must not receive descriptors from anybody
# expect: contained
# control: run
import socket
a, b = socket.socketpair()
socket.send_fds(a, [b'x'], [0])
result = 'ESCAPED passed %d' % len(socket.recv_fds(b, 10, 4)[1])
