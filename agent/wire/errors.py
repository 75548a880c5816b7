"""What is wrong with bytes of the published format. Texts name the rule, never the content."""


class WireError(ValueError):
    """Bytes are not what the format says."""


class JsonError(WireError):
    """Not strict JSON: syntax, duplicate key, NaN, depth, size."""


class EncodingError(JsonError):
    """Not valid Unicode."""


class SizeError(JsonError):
    """Larger than its limit."""


class ManifestError(WireError):
    """A manifest's form, signature or signer is not acceptable."""


class ContainerError(WireError):
    """Not a whole `.mres` file."""


class ResultError(WireError):
    """Sealed parts do not belong to their manifest, or not to this key."""


class FormError(WireError):
    """Not a compact JWS."""


class HeaderError(WireError):
    """A JWS whose header is not exactly the one of the format."""


class SignatureError(WireError):
    """A JWS that this key did not sign."""
