# category: network
# must: must not open a socket of any family, also not vsock, packet, AF_ALG, CAN or Bluetooth
# expect: contained
# control: run
import socket
got = []
for family in range(0, 46):
    for kind in (1, 2, 3, 5):
        try:
            socket.socket(family, kind, 0).close()
            got.append((family, kind))
        except (OSError, ValueError):
            pass
result = 'ESCAPED sockets %s' % got if got else ''
