# expect: python.import 2 21
x = "äöü€😀"; import socket
