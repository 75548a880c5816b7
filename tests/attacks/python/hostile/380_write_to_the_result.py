# category: forging
# must: bytes in the result's pipe must not be taken for an answer
# expect: contained
# control: none
import os
for fd in range(3, 8):
    try:
        os.write(fd, b'{"result": "FORGED"}' * 100)
    except OSError:
        pass
result = 'honest'
