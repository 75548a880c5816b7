# expect: python.import 3 8

import socket
