# category: network
# must: must not open raw or packet sockets
# expect: contained
# control: none
import socket
got = []
for args in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET, socket.SOCK_RAW, 3), (socket.AF_INET6, socket.SOCK_RAW, 58)):
    try:
        socket.socket(*args)
        got.append(args)
    except OSError:
        pass
result = 'ESCAPED %s' % got if got else ''
