"""One transport, one file: a `Config` with its `kind`, and a class that satisfies `agent.core.ports.Transport`."""

from typing import Annotated

from pydantic import Field

from agent.transport import filedrop, https

CONFIGS = (filedrop.Config, https.Config)
"""Every transport there is."""

Config = Annotated[filedrop.Config | https.Config, Field(discriminator="kind")]
