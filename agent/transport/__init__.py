"""One transport, one file: a `Config` with its `kind`, and a class that satisfies `agent.core.ports.Transport`."""

from agent.transport import filedrop

CONFIGS = (filedrop.Config,)
"""Every transport there is. The second one joins here and makes of `Config` a union, discriminated by `kind`."""

Config = filedrop.Config
