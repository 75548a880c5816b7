# category: network
# must: must not ask the kernel about interfaces by netlink
# expect: contained
# control: run
import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
s.bind((0, 0))
s.send(struct.pack('=IHHIIB3x', 20, 18, 0x301, 1, 0, 0))
result = 'ESCAPED %d bytes of interfaces' % len(s.recv(65536))
