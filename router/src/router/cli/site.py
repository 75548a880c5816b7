"""The Router's folder and its settings, as every command finds them."""

import json
from collections.abc import Iterator
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

Folder = Annotated[
    Path, typer.Option("--data", envvar="MERIDYEN_ROUTER_DATA", help="The Router's folder, as `router init` made it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class SiteError(Exception):
    """The operator has to act; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `router init` wrote, to be edited by hand. `database`: a PostgreSQL address, None for the embedded store."""

    domain: str
    hosts: tuple[str, ...]
    listen: str = "127.0.0.1:8443"
    database: str | None = field(default=None, repr=False)
    open_jobs: int = 10_000
    stored_bytes: int = 20 * 2**30
    result_bytes: int = 2**30
    keep_results_hours: float = 168.0
    keep_jobs_hours: float = 720.0
    agent_hours: float = 24.0

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
        return Settings(**{**plain, "hosts": tuple(plain["hosts"])})
    except (TypeError, KeyError):
        raise SiteError(f"{path} lacks a key. Fix: compare it with a fresh `router init`.") from None


@contextmanager
def store_of(folder: Path) -> Iterator["Store"]:
    """The store, also while a Router runs over it. Raises SiteError, StoreError."""
    from router.store.sqlite import SqliteStore

    found = settings(folder)
    if found.database is not None:
        from router.store.postgres import PostgresStore

        store: Store = PostgresStore(found.database)
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
