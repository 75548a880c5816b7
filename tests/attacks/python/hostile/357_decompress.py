# category: resource
# must: what unpacks to gigabytes must stay within memory
# expect: contained
# control: none
import zlib
small = zlib.compress(bytes(64 << 20), 9)
result = len(b''.join([zlib.decompress(small) for _ in range(60)]))
