# category: network
# must: must not open stream sockets of other protocols
# expect: contained
# control: run
import socket
got = []
for proto in (262, 132, 136):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, proto)
        got.append(proto)
    except OSError:
        pass
result = 'ESCAPED %s' % got if got else ''
