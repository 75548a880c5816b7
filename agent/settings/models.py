"""Every key of sandbox.yaml: type, default, meaning. docs/configure.md and the JSON Schema come from here."""

import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from agent.core.limits import Limits
from agent.sources import Config as SourceConfig
from agent.transport.filedrop import Config as FileDropConfig
from agent.transport.https import Config as HttpsConfig
from agent.wire.fields import Name, SourceText

STATE_DIR = "STATE_DIR"
"""First part of a path that stands for `state_dir`."""

Mode = Literal["airgapped", "hybrid", "cloud"]
Tier = Literal["container", "full"]
_MAX_SECONDS = 86_400
_MAX_MB = 4_194_304
_MAX_BYTES = 17_179_869_184


def path_problem(path: Path) -> str:
    """Why this cannot be meant as a path; empty when it can."""
    if "\0" in str(path) or str(path) in {"", "."}:
        return "this is not a path."
    return "`~` is not expanded; write the full path." if path.parts[0].startswith("~") else ""


def _path(path: Path) -> Path:
    problem = path_problem(path)
    if problem:
        raise ValueError(problem)
    return path


def _given(block: object) -> object:
    return {} if block is None else block


def _host_name() -> str:
    """The host's name as far as it is a valid name."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname()).lstrip("_.-")[:127] or "agent"


Module = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$", max_length=100)]
"""The name of a module or package."""

LocalPath = Annotated[Path, AfterValidator(_path)]
"""A path; relative ones are relative to the configuration file's folder."""


class Block(BaseModel):
    """Base of every block: unknown keys are refused, an empty block has all its defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, block: object) -> object:
        return _given(block)


class SlotSettings(Block):
    """Jobs at once, by kind."""

    sql: int = Field(default=4, ge=1, le=256, description="SQL jobs at once.")
    python: int = Field(default=2, ge=1, le=256, description="Python jobs at once.")


class AgentSettings(Block):
    """Who this agent is. Jobs are addressed to `agent:NAME` or `pool:POOL`."""

    name: Name = Field(
        default_factory=_host_name,
        description="Name of this agent, unique within the tenant. Default: the host's name.",
    )
    pool: Name = Field(default="default", description="Agents of one pool share its jobs.")
    labels: Annotated[dict[Name, str], BeforeValidator(_given)] = Field(
        default_factory=dict, description="Free labels, shown in status.", max_length=64
    )
    slots: SlotSettings = Field(default=SlotSettings(), description="Jobs at once, by kind.")
    result_key: SecretStr | None = Field(
        default=None,
        description="Private key (JWK) that signs results, where the agents of a pool share one; see operate/cloud.md. "
        "Default: a key of this agent's own.",
    )


class TransportSettings(Block):
    """Where jobs come from and results go to. `mode` picks the block that is used."""

    filedrop: FileDropConfig = Field(
        default=FileDropConfig(kind="filedrop", path=Path("drop")),
        description="Folders for the mode `airgapped`.",
    )
    https: HttpsConfig | None = Field(default=None, description="The Router, for the modes `hybrid` and `cloud`.")

    @field_validator("filedrop", mode="before")
    @classmethod
    def _partial(cls, block: object) -> object:
        given = _given(block)
        return {"path": "drop", **given, "kind": "filedrop"} if isinstance(given, dict) else given

    @field_validator("https", mode="before")
    @classmethod
    def _kind(cls, block: object) -> object:
        given = _given(block)
        return {**given, "kind": "https"} if isinstance(given, dict) else given


class LimitSettings(Block):
    """What one job may use. A job can ask for less, never for more."""

    wall_seconds: float = Field(default=300, gt=0, le=_MAX_SECONDS, description="Wall-clock time of a job.")
    cpu_seconds: int = Field(default=300, ge=1, le=_MAX_SECONDS, description="CPU time of a job.")
    memory_mb: int = Field(
        default=1024, ge=32, le=_MAX_MB, description="Memory of a job in MiB; nothing spills to disk."
    )
    rows: int = Field(default=100_000, ge=1, le=1_000_000_000, description="Rows of a result.")
    bytes: int = Field(default=67_108_864, ge=1024, le=_MAX_BYTES, description="Bytes of a result's Arrow data.")
    stdout_kb: int = Field(default=256, ge=1, le=65_536, description="Printed text of a Python job in KiB.")
    drain_seconds: float = Field(
        default=60, ge=0, le=_MAX_SECONDS, description="How long running jobs may finish after SIGTERM."
    )

    def of_job(self) -> Limits:
        """The part that concerns a job."""
        return Limits(**self.model_dump(exclude={"drain_seconds"}))


class PythonSettings(Block):
    """How Python jobs are isolated, and what they may use together."""

    enabled: bool = Field(default=True, description="Whether Python jobs run here. Without them no memory is kept.")
    min_tier: Tier = Field(
        default="container",
        description="Weakest isolation under which Python jobs run; `agent doctor sandbox` shows what there is.",
    )
    imports: Literal["default"] | tuple[Module, ...] = Field(
        default="default", description="`default`, or the list of modules that a job may import."
    )
    preload: tuple[Module, ...] = Field(
        default=("pandas", "numpy", "pyarrow", "duckdb"), description="Packages loaded once, before any job."
    )
    memory_mb: int | None = Field(
        default=None,
        ge=32,
        le=_MAX_MB,
        description="Memory of all Python jobs together in MiB; a job waits until its own fits. "
        "Default: `agent.slots.python` times the sum of `limits.memory_mb` and `python.scratch_mb`.",
    )
    scratch_mb: int = Field(default=64, ge=1, le=65_536, description="Size of a job's own folder, in MiB.")
    idle_seconds: float = Field(
        default=900,
        ge=0,
        le=_MAX_SECONDS,
        description="After so long without a Python job its server ends, and the next job starts it again; 0: never.",
    )
    outer: Literal["none", "gvisor", "kata"] = Field(
        default="none",
        description="The sandbox that the operator has put around the agent. Named in results; replaces no check.",
    )


class AuditSettings(Block):
    """The tamper-evident log: who asked what, and what left."""

    path: LocalPath = Field(default=Path(STATE_DIR, "audit"), description="Folder of the log.")
    fail_closed: Literal[True] = Field(
        default=True, description="No job runs that cannot be logged. Cannot be switched off."
    )


Sources = Annotated[dict[SourceText, SourceConfig], BeforeValidator(_given)]


def anchored(value: Any, base: Path, state_dir: Path) -> Any:
    """The same value with every `Path` in it made absolute. Blocks and maps are searched."""
    if isinstance(value, Path):
        if value.parts[:1] == (STATE_DIR,):
            return state_dir.joinpath(*value.parts[1:])
        return base / value
    if isinstance(value, BaseModel):
        changed = {key: anchored(getattr(value, key), base, state_dir) for key in type(value).model_fields}
        return value.model_copy(update=changed)
    if isinstance(value, dict):
        return {key: anchored(inner, base, state_dir) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(anchored(inner, base, state_dir) for inner in value)
    return value
