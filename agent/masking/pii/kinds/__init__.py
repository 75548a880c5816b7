"""What the second net knows. A new kind is one file here and one line below."""

from collections.abc import Mapping
from typing import Final

from agent.masking.pii.kind import Kind
from agent.masking.pii.kinds.card import CARD
from agent.masking.pii.kinds.de_steuer_id import DE_STEUER_ID
from agent.masking.pii.kinds.email import EMAIL
from agent.masking.pii.kinds.es_dni import ES_DNI
from agent.masking.pii.kinds.fr_nir import FR_NIR
from agent.masking.pii.kinds.gb_nino import GB_NINO
from agent.masking.pii.kinds.iban import IBAN
from agent.masking.pii.kinds.ip import IP
from agent.masking.pii.kinds.it_codice_fiscale import IT_CODICE_FISCALE
from agent.masking.pii.kinds.mrz import MRZ
from agent.masking.pii.kinds.nl_bsn import NL_BSN
from agent.masking.pii.kinds.phone import PHONE
from agent.masking.pii.kinds.secret import SECRET
from agent.masking.pii.kinds.tr_tckn import TR_TCKN
from agent.masking.pii.kinds.us_ssn import US_SSN

_ALL: Final = (
    SECRET,
    EMAIL,
    IBAN,
    MRZ,
    CARD,
    PHONE,
    US_SSN,
    GB_NINO,
    IT_CODICE_FISCALE,
    DE_STEUER_ID,
    FR_NIR,
    ES_DNI,
    NL_BSN,
    TR_TCKN,
    IP,
)
"""Where two kinds find the same characters, the first one names them."""

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _ALL}
USUAL: Final = tuple(kind.name for kind in _ALL if not kind.optional)
"""What the net looks for unless the policy says otherwise."""

__all__ = ["KINDS", "USUAL"]
