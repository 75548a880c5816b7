# category: network
# must: must not ask a name server
# expect: contained
# control: run
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'leak', ('127.0.0.1', @@UDP_PORT@@))
result = str(socket.getaddrinfo('localhost', 80))
