"""One rule, one file; the union below is the whole list. A rule turns a column of a kind into the name of a mask.

Adding a rule: one file with a frozen model (`rule` literal, its parameters, `mask`), one line in `AnyRule`,
and its template in every dialect. tests/conformance/test_rules.py takes the union and fails on a file that is not
listed.
"""

from typing import Annotated

from pydantic import BeforeValidator, Discriminator

from agent.masking.rules.base import Applied, Kind, Rule, spelled_out
from agent.masking.rules.bucket import Bucket
from agent.masking.rules.constant import Constant
from agent.masking.rules.email import Email
from agent.masking.rules.keep import Keep
from agent.masking.rules.last4 import Last4
from agent.masking.rules.month import Month
from agent.masking.rules.null import Null
from agent.masking.rules.partial import Partial
from agent.masking.rules.redact import Redact
from agent.masking.rules.round import Round
from agent.masking.rules.token import Token
from agent.masking.rules.year import Year

AnyRule = Annotated[
    Bucket | Constant | Email | Keep | Last4 | Month | Null | Partial | Redact | Round | Token | Year,
    Discriminator("rule"),
    BeforeValidator(spelled_out),
]

__all__ = ["AnyRule", "Applied", "Kind", "Rule", "spelled_out"]
