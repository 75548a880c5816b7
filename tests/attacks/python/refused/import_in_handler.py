# expect: python.import 5 12
try:
    import json
except ImportError:
    import socket
