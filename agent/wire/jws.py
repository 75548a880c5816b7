"""Payload and key <-> compact JWS: alg Ed25519 (RFC 9864), kid and typ, and nothing else in the header."""

from dataclasses import dataclass
from typing import override

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from agent.wire import strictjson
from agent.wire.errors import JsonError, WireError
from agent.wire.keys import SigningKey, VerifyKey, decode_base64url, is_kid

ALGORITHM = "Ed25519"
