"""Is it one PNG of a sane size, and nothing else?"""

import struct
import zlib
from typing import Final

MAX_PIXELS: Final = 25_000_000
MAX_SIDE: Final = 16_384

_HEAD = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_SIZE = struct.Struct(">II")
_KINDS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"sBIT", b"bKGD"}
_OVERHEAD = 12
_IHDR_BYTES = 13


def problem(data: bytes) -> str:
    """Why not; "" when it is: chunks that only draw, whole, in order, with nothing behind them."""
    if not data.startswith(_HEAD):
        return "it is not a PNG"
    at = len(_HEAD)
    kinds: list[bytes] = []
    while at + _OVERHEAD <= len(data) and kinds[-1:] != [b"IEND"]:
        length, kind = _CHUNK.unpack_from(data, at)
        body = data[at + 4 : at + 8 + length]
        check = data[at + 8 + length : at + _OVERHEAD + length]
        if kind not in _KINDS or check != zlib.crc32(body).to_bytes(4, "big"):
            return "the PNG holds more than a picture, or is damaged"
        if kind == b"IHDR" and (length != _IHDR_BYTES or not _fits(*_SIZE.unpack_from(body, 4))):
            return "the PNG has too many pixels"
        kinds.append(kind)
        at += _OVERHEAD + length
    if at != len(data) or kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or kinds.count(b"IHDR") > 1:
        return "the PNG is damaged"
    return ""


def _fits(width: int, height: int) -> bool:
    return 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS
