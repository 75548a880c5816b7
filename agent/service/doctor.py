"""A sandbox server started for its verdict alone, and what this machine says that may explain it."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from agent.core.ports import Finding
from agent.service.sandboxes import RANKS, PythonSite
from agent.service.sandboxserver import COMMAND, SandboxServer
from agent.service.serverprocess import ServerError

_PROC: Final = Path("/proc/sys")
_LSM: Final = Path("/sys/kernel/security/lsm")
_CONTAINERS: Final = (
    *(Path("/.dockerenv"), Path("/run/.containerenv"), Path("/run/systemd/container")),
    Path("/var/run/secrets/kubernetes.io"),
)
_NO_FILTER: Final = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`tier` as the server's probes saw it hold (`none`: no Python code runs here). `problem`: why there is no server.

    `findings` are the probes' own, one for each layer of each tier that was tried, then those of the machine.
    """

    tier: str
    min_tier: str
    landlock: int
    findings: tuple[Finding, ...]
    preload_seconds: float
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether Python jobs run under at least the tier that the site asks for."""
        return RANKS[self.tier] >= RANKS[self.min_tier]


async def verdict(python: PythonSite, command: Sequence[str] = COMMAND) -> Verdict:
    """Start a sandbox server as the service does, hear its verdict, and end it. Raises nothing of the server's."""
    try:
        server = await SandboxServer.start(python.shape, command)
    except ServerError as error:
        return Verdict(
            tier="none",
            min_tier=python.min_tier,
            landlock=0,
            findings=machine(),
            preload_seconds=0.0,
            problem=f"The sandbox server cannot be started: {error}.",
        )
    try:
        found = tuple(Finding(reason.check, reason.level, reason.found, reason.fix) for reason in server.reasons)
        return Verdict(
            tier=server.tier,
            min_tier=python.min_tier,
            landlock=server.landlock,
            findings=found if server.tier == "full" else (*found, *machine()),
            preload_seconds=server.preload_seconds,
        )
    finally:
        with anyio.CancelScope(shield=True):
            await server.aclose()


def machine(read: Callable[[Path], str | None] | None = None) -> tuple[Finding, ...]:
    """Settings of this machine that keep a tier from being reached, each with the command that changes it."""
    read = read or _text
    found = [
        Finding("machine", "note", f"Linux {platform.release()} on {platform.machine()}"),
        *_landlock(read(_LSM)),
        *_sysctls(read),
        *_around(read(Path("/proc/self/status")) or ""),
    ]
    return tuple(found)


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return None


def _landlock(modules: str | None) -> list[Finding]:
    if modules is None or "landlock" in modules.split(","):
        return []
    fix = f"Boot with lsm=landlock,{modules} on the kernel's command line."
    return [Finding("machine: Landlock", "warning", f"the kernel's list of security modules is {modules}", fix)]


def _sysctls(read: Callable[[Path], str | None]) -> list[Finding]:
    """Those that forbid an unprivileged account its own namespaces."""
    wrong = (
        ("user.max_user_namespaces", "0", "15000"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    )
    return [
        Finding(
            "machine: user namespaces",
            "warning",
            f"{name} is {bad}",
            f"sysctl -w {name}={good}, and the same line in /etc/sysctl.d/60-meridyen.conf.",
        )
        for name, bad, good in wrong
        if read(_PROC / name.replace(".", "/")) == bad
    ]


def _around(status: str) -> list[Finding]:
    """What stands around this process: a container, a filter of system calls."""
    container = any(path.exists() for path in _CONTAINERS)
    filtered = next((line.split()[1] for line in status.splitlines() if line.startswith("Seccomp:")), _NO_FILTER)
    if filtered == _NO_FILTER:
        return []
    found = "an outer seccomp filter is in force" + (", in a container" if container else "")
    docker = (
        "For the full tier, let the filter pass user namespaces. Docker: --security-opt seccomp=PROFILE with a profile "
        "that allows unshare, clone, mount, umount2, pivot_root and sethostname, and --security-opt "
        "systempaths=unconfined; Kubernetes: seccompProfile of type Localhost."
    )
    systemd = (
        "For the full tier, let the filter pass user namespaces. systemd: RestrictNamespaces=user pid net mnt ipc uts, "
        "SystemCallFilter=@mount unshare setns landlock_create_ruleset landlock_add_rule landlock_restrict_self."
    )
    return [Finding("machine: outer filter", "note", found, docker if container else systemd)]
