import base64
import hashlib
import hmac
import secrets
import uuid
import zlib

digest = hashlib.sha256("ann".encode("utf-8")).hexdigest()
df["key"] = [hashlib.md5(str(c).encode()).hexdigest()[:8] for c in df["customer"]]
packed = base64.b64encode(zlib.compress(b"x" * 100)).decode()
fixed = uuid.uuid5(uuid.NAMESPACE_DNS, "example.org")
mac = hmac.new(b"k", b"m", hashlib.sha256).hexdigest()
result = {"digest": digest[:8], "keys": df["key"].nunique(), "packed": zlib.decompress(base64.b64decode(packed)) == b"x" * 100, "uuid": str(fixed)[:8], "mac": len(mac), "token": len(secrets.token_hex(4))}
