"""The whole environment of a warm server and of every job: nothing of the service's own gets there."""

from collections.abc import Mapping
from types import MappingProxyType

ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "HOME": "/nonexistent",  # no ~/.pgpass, ~/.duckdbrc or ~/.local
        "LANG": "C.UTF-8",
        "TZ": "UTC",  # the same answer at every site
        # A server that forks must have one thread: these three start some on import.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
)
