"""The Router's folder and its settings, as every command finds them."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.service.files import Files

if TYPE_CHECKING:
    from router.core.ops import Op
    from router.store.port import Store

DEFAULT = Path("router-data")
SETTINGS = "router.json"
_MOST_ADDRESS = 4096
TENANT_KEYS = frozenset({"open_jobs", "stored_bytes", "calls_per_second"})
_MOST = 2**62

Folder = Annotated[
    Path, typer.Option("--data", envvar="MERIDYEN_ROUTER_DATA", help="The Router's folder, as `router init` made it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class SiteError(Exception):
    """The operator has to act; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `router init` wrote, to be edited by hand.

    `database_file`: a file with a PostgreSQL address, which may hold a password; None for the embedded store.
    `parts_folder`: where several Routers over one database share large results; None keeps them in the database.
    """

    domain: str
    hosts: tuple[str, ...]
    listen: str = "127.0.0.1:8443"
    database_file: str | None = None
    parts_folder: str | None = None
    open_jobs: int = 10_000
    stored_bytes: int = 20 * 2**30
    result_bytes: int = 2**30
    keep_results_hours: float = 168.0
    keep_jobs_hours: float = 720.0
    keep_uploads_hours: float = 1.0
    agent_hours: float = 24.0
    calls_per_second: float = 1000.0
    failures_per_second: float = 5.0
    connections: int = 4096
    tenants: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def address(self, folder: Path) -> str | None:
        """The database's address, None for the embedded store. Raises SiteError."""
        if self.database_file is None:
            return None
        path = folder / self.database_file
        try:
            with path.open(encoding="utf-8") as file:
                open_to_others = os.fstat(file.fileno()).st_mode & 0o077
                address = file.read(_MOST_ADDRESS).strip()
        except (OSError, ValueError):
            raise SiteError(f"{path} cannot be read. Fix: write the database's address into it.") from None
        if open_to_others:
            raise SiteError(f"{path} can be read by other accounts. Fix: chmod 600 {path}")
        if not address:
            raise SiteError(f"{path} is empty. Fix: write the database's address into it.")
        return address

    def write(self, path: Path) -> None:
        """For people to read and change."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        path.chmod(0o600)


def settings(folder: Path) -> Settings:
    """The folder's settings. Raises SiteError."""
    path = folder / SETTINGS
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise SiteError(f"{path} cannot be read. Fix: `router init --data {folder}`.") from None
    except ValueError:
        raise SiteError(f"{path} is not JSON. Fix: correct it.") from None
    known = set(Settings.__dataclass_fields__)
    if not isinstance(plain, dict) or set(plain) - known:
        unknown = ", ".join(sorted(set(plain) - known)) if isinstance(plain, dict) else "its form"
        raise SiteError(f"{path}: {unknown} is not known here. Fix: the keys are {', '.join(sorted(known))}.")
    try:
        found = Settings(**{**plain, "hosts": tuple(plain["hosts"])})
    except (TypeError, KeyError):
        raise SiteError(f"{path} lacks a key. Fix: compare it with a fresh `router init`.") from None
    wrong = _wrong(found)
    if wrong is not None:
        raise SiteError(f"{path}: {wrong} is not of its form. Fix: correct it; docs/router/serve.md has every key.")
    return found


def _wrong(found: Settings) -> str | None:
    """The first key whose value cannot be meant."""
    numbers = {
        name: getattr(found, name)
        for name, known in Settings.__dataclass_fields__.items()
        if known.type in {"int", "float", int, float}
    }
    if not isinstance(found.tenants, dict) or not all(isinstance(one, dict) for one in found.tenants.values()):
        return "tenants"
    for tenant, own in found.tenants.items():
        if set(own) - TENANT_KEYS:
            return f"tenants.{tenant}"
        numbers.update({f"tenants.{tenant}.{name}": value for name, value in own.items()})
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < _MOST:
            return name
    for name in ("database_file", "parts_folder"):
        if getattr(found, name) is not None and not (isinstance(getattr(found, name), str) and getattr(found, name)):
            return name
    texts: dict[str, Any] = {"domain": found.domain, "listen": found.listen, "hosts": "".join(map(str, found.hosts))}
    return next((name for name, value in texts.items() if not isinstance(value, str) or not value), None)


def is_named(option: str, text: str) -> str:
    """A tenant, pool or agent that a certificate can name. Raises SiteError."""
    from router.ca.names import is_name

    if not is_name(text):
        raise SiteError(
            f"{option}: a name has letters, digits, `.`, `_` and `-`, at most 127, and begins with no sign."
        )
    return text


@contextmanager
def store_of(folder: Path) -> Iterator["Store"]:
    """The store, also while a Router runs over it. Raises SiteError, StoreError."""
    from router.store.sqlite import SqliteStore

    address = settings(folder).address(folder)
    if address is not None:
        from router.store.postgres import PostgresStore

        store: Store = PostgresStore(address)
    else:
        store = SqliteStore(Files(folder).store)
    try:
        yield store
    finally:
        store.close()


def done(store: "Store", op: "Op") -> Any:
    """One operation, at once. Raises RouterProblem."""
    import time

    from router.core.problem import RouterProblem

    (reply,) = store.apply([op], time.time())
    if isinstance(reply, RouterProblem):
        raise reply
    return reply
