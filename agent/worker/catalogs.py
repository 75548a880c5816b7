"""`Catalog` <-> the bytes in which one worker hands it to the next one of the same source. Strict and canonical."""

from hashlib import sha256
from typing import Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from agent.core.catalog import Catalog
from agent.sandbox.answer import MAX_CATALOG_BYTES

_FORM: Final[TypeAdapter[Catalog]] = TypeAdapter(Catalog)


def encode(catalog: Catalog) -> bytes:
    """JSON without what is as it is by default; empty for a catalog that cannot be handed on: too large, not text."""
    try:
        data = _FORM.dump_json(catalog, exclude_defaults=True)
    except (PydanticSerializationError, UnicodeError):
        return b""
    return data if len(data) <= MAX_CATALOG_BYTES else b""


def decode(data: bytes, *, source: str, dialect: str) -> Catalog | None:
    """The reverse of `encode`; None for anything that it would not have written, or for another source."""
    if not data or len(data) > MAX_CATALOG_BYTES:
        return None
    try:
        catalog = _FORM.validate_json(data, strict=True)
    except ValidationError:
        return None
    if (catalog.source, catalog.dialect) != (source, dialect) or encode(catalog) != data:
        return None
    return catalog


def version(data: bytes) -> str:
    """What names this state of a catalog: the SHA-256 of its bytes, in hex."""
    return sha256(data).hexdigest()
