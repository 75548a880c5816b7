# category: network
# must: must not send with TCP fast open, which has no connect
# expect: contained
# control: run
import socket
s = socket.socket()
s.sendto(b'leak', socket.MSG_FASTOPEN, ('127.0.0.1', @@TCP_PORT@@))
result = 'ESCAPED'
