"""Limits of a job. The site's always clamp the job's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one job may use. Seconds, MiB, rows, bytes of Arrow data, KiB of printed text."""

    wall_seconds: float = 300
    cpu_seconds: int = 300
    memory_mb: int = 1024
    rows: int = 100_000
    bytes: int = 67_108_864
    stdout_kb: int = 256

    def clamped(self, asked: Mapping[str, float]) -> "Limits":
        """The smaller of these (the site's) and what a job asked for, field by field. Unknown names are ignored."""
        mine = asdict(self)
        return Limits(**{f.name: min(mine[f.name], asked.get(f.name, mine[f.name])) for f in fields(self)})
