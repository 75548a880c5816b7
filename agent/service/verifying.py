"""An envelope -> the job that it is trusted to be; and whether one that is offered again is on its way already."""

import logging

from agent.core import defect
from agent.core.errors import Refuse
from agent.core.job import Job
from agent.core.ports import Offer
from agent.service.wiring import Site
from agent.spool.ledger import Entry
from agent.wire.signing import verify
from agent.wire.trust import TrustStore

_LOGGER = logging.getLogger(__name__)


def is_held(entry: Entry, offer: Offer, *, running: bool) -> bool:
    """Whether this very envelope is on its way already. Once its job is over, it was handed in anew."""
    on_its_way = entry.state == "sealed" or (entry.state == "claimed" and running)
    return entry.ref == offer.ref and on_its_way


def verified(offer: Offer, trust: TrustStore, site: Site, now: float) -> Job:
    """Raises Refuse, whatever the bytes are."""
    try:
        return verify(offer.envelope, trust, site.me, now)
    except Refuse:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        defect.report(_LOGGER, "an envelope could not be checked", error)
        raise Refuse("envelope.malformed", "The envelope could not be checked.") from None
