"""The driver's and the server's errors -> Faults with fixed texts, by SQLSTATE; by words where there is no state."""

from typing import Any, Final

from agent.core.errors import Fault
from agent.sources._attempt import unavailable

_LOST: Final = unavailable(
    "The connection to the server was lost.", "Look at the server's log for the reason, and run the job again."
)
_BUSY: Final = unavailable(
    "The server has no connection left for the source's account.",
    "Raise max_connections or the role's CONNECTION LIMIT, or give the agent fewer slots.",
)
_NO_PASSWORD: Final = unavailable(
    "The server refused the source's account or its password.",
    "Check `user` and `password` of the source, and the server's pg_hba.conf.",
)
_NO_DATABASE: Final = unavailable(
    "The server has no database of this name, or the account may not connect to it.",
    "Check `database` of the source; GRANT CONNECT ON DATABASE to its account.",
)
_UNTRUSTED: Final = unavailable(
    "The server's certificate is not one that the source trusts.",
    "Set `tls.ca_file` of the source to the CA that signed it; check that it has not expired.",
)
_OPENING: Final[tuple[tuple[str, Fault], ...]] = (
    ("too many connections", _BUSY),
    ("too many clients", _BUSY),
    ("remaining connection slots", _BUSY),
    ("password authentication failed", _NO_PASSWORD),
    ("no password supplied", _NO_PASSWORD),
    ("authentication failed", _NO_PASSWORD),
    ("authentication method requirement", unavailable(
        "The server asks for the password in clear text, which goes only to a server that has proven who it is.",
        "Set `tls.mode` to verify-full, or have the server use scram-sha-256.",
    )),
    ("is not permitted to log in", _NO_PASSWORD),
    ("no pg_hba.conf entry", unavailable(
        "The server takes no connection like this from the agent's host.",
        "Add a line to the server's pg_hba.conf; where that one is `hostssl`, set `tls.mode`.",
    )),
    ("server does not support SSL", unavailable(
        "The server does not offer TLS, and the source asks for it.",
        "Set ssl = on at the server, or `tls.mode: disable` where the network is trusted.",
    )),
    ("does not match host name", unavailable(
        "The server's certificate is for another host name.",
        "Write in `host` the name that the certificate has, or give the server a certificate with this name.",
    )),
    ("could not get server's host name", _UNTRUSTED),
    ("certificate verify failed", _UNTRUSTED),
    ("root certificate file", unavailable(
        "The CA file of the source's TLS cannot be used.", "Check `tls.ca_file` of the source: it has to be PEM."
    )),
    ("private key file", unavailable(
        "The private key of the source's TLS cannot be used.",
        "Check `tls.key_file`: PEM, without a passphrase, owned by the agent's account, mode 0600.",
    )),
    ("could not read certificate file", unavailable(
        "The certificate of the source's TLS cannot be used.", "Check `tls.cert_file` of the source: it has to be PEM."
    )),
    ("SSL error", unavailable(
        "The TLS connection could not be made.", "Check the TLS settings of the source and of the server."
    )),
    ("the database system is", unavailable(
        "The server is starting, stopping or recovering.", "Run the job again when it is up."
    )),
    ("does not exist", _NO_DATABASE),
    ("permission denied for database", _NO_DATABASE),
    ("timeout expired", unavailable(
        "The server did not answer in time.", "Check `host` and `port`, the network, and `connect_timeout_seconds`."
    )),
    ("Connection refused", unavailable(
        "Nothing listens at the source's address.", "Check that the server runs, and `host` and `port` of the source."
    )),
    ("No such file or directory", unavailable(
        "There is no server behind the source's Unix socket.", "Check the folder in `host`, and `port`."
    )),
    ("Permission denied", unavailable(
        "The agent may not connect to the source's address.", "Check the rights on the socket, and firewalls."
    )),
    ("server closed the connection", _LOST),
)  # fmt: skip
_NOT_OPENED: Final = unavailable(
    "The server could not be reached or did not accept the connection.",
    "Run `agent sources test`; check `host`, `port`, the account and the server's log.",
)

_NOT_BOUND: Final = Fault(
    "source.binding",
    "The engine could not bind the statement.",
    "Check that relations and columns exist and that operators and functions get the types that they take.",
)
_DENIED: Final = Fault(
    "source.binding",
    "The source's account may not read a relation or column of the statement, or beneath one of its views.",
    "GRANT SELECT on it to the account, or leave it out.",
)
_TIMED_OUT: Final = Fault(
    "limit.wall", "The server ended the statement at its time limit.", "Ask for less, or raise limits.wall_seconds."
)
_LOCKED: Final = Fault(
    "source.error",
    "The statement waited too long for a lock.",
    "Run it again later; lock_timeout_seconds of the source says how long it waits.",
)
_CONVERSION: Final = Fault(
    "source.error", "A value could not be converted to the asked type.", "Filter such values out before the cast."
)
_RANGE: Final = Fault("source.error", "A value left the range of its type.", "Cast to a wider type before that.")
_INVALID: Final = Fault(
    "source.error",
    "An operation got an input that it does not take, for example a division by zero.",
    "Guard it with NULLIF or CASE.",
)
_MEMORY: Final = Fault("limit.memory", "The statement needed too much memory.", "Aggregate earlier, or ask for less.")
_WRITES: Final = Fault("source.binding", "The statement is not exactly one query.", "Send one SELECT.")
_CHANGED: Final = Fault(
    "source.error", "The server changed while the statement ran.", "Run the job again."
)  # fmt: skip
_FAILED: Final = Fault(
    "source.error", "The engine reported an error while running the statement.", "Check casts, divisions and types."
)

_STATES: Final[dict[str, Fault]] = {
    "57014": _TIMED_OUT,
    "25P04": _TIMED_OUT,
    "55P03": _LOCKED,
    "42501": _DENIED,
    "42601": _WRITES,
    "25006": _WRITES,
    "22P02": _CONVERSION,
    "22007": _CONVERSION,
    "22008": _RANGE,
    "22003": _RANGE,
    "22021": Fault("source.error", "A text holds bytes that are no text.", "Repair it, or select it as bytea."),
    "22P05": Fault("source.error", "A text cannot be carried over in UTF-8.", "Leave it out, or convert it first."),
    "53200": _MEMORY,
    "53400": _MEMORY,
    "53100": Fault("source.error", "The server's disk is full.", "Free space at the server, or ask for less."),
    "54000": Fault("source.error", "The statement is beyond a limit of the server.", "Ask for less at once."),
    "40001": Fault("source.error", "The server's recovery ended the statement.", "Run the job again."),
    "XX000": _CHANGED,
}
"""Whole SQLSTATEs; `_CLASSES` has what is left of their first two letters."""
_CLASSES: Final[dict[str, Fault]] = {
    "08": _LOST,
    "57": _LOST,
    "22": _INVALID,
    "23": _INVALID,
    "42": _NOT_BOUND,
    "0A": Fault("source.binding", "The engine does not implement an operation of the query.", "Write it otherwise."),
    "25": _WRITES,
    "53": _BUSY,
    "54": Fault("source.error", "The statement is beyond a limit of the server.", "Ask for less at once."),
}
_WORDS: Final[tuple[tuple[str, Fault], ...]] = (
    ("due to statement timeout", _TIMED_OUT),
    ("due to user request", _TIMED_OUT),
    ("due to lock timeout", _LOCKED),
    ("Array value with lower bound", Fault(
        "source.error",
        "An array has several dimensions or does not begin at 1, which a list cannot say.",
        "Select it as text: CAST(x AS text), or array_to_json(x).",
    )),
    ("Interval with time value", Fault(
        "source.error", "An interval is infinite, or has more hours than results can carry.", "Select it as text."
    )),
    ("Failed to connect", _LOST),
    ("terminating connection", _LOST),
    ("closed the connection", _LOST),
    ("no connection to the server", _LOST),
    ("Connection reset", _LOST),
    ("SSL SYSCALL", _LOST),
    ("SSL error", _LOST),
    ("lost synchronization", _LOST),
    ("could not receive data", _LOST),
    ("out of memory", _MEMORY),
    ("canceling statement due to conflict", _STATES["40001"]),
    ("division by zero", _INVALID),
    ("out of range", _RANGE),
    ("invalid input syntax", _CONVERSION),
    ("invalid byte sequence", _STATES["22021"]),
)  # fmt: skip


def opening_fault(error: Exception) -> Fault:
    """Why the source could not be opened: Fault(source.unavailable)."""
    text = str(error)
    return next((fresh(fault) for mark, fault in _OPENING if mark in text), fresh(_NOT_OPENED))


def running_fault(error: Exception) -> Fault:
    """Why a statement did not run to its end: Fault(source.* | limit.memory | limit.wall).

    While rows stream, the reader raises OSError with the server's words alone.
    """
    if isinstance(error, MemoryError):
        return fresh(_MEMORY)
    state = str(getattr(error, "sqlstate", None) or "")
    known: Any = _STATES.get(state) or _CLASSES.get(state[:2])
    text = str(error)
    if known is None:
        known = next((fault for mark, fault in _WORDS if mark in text), _FAILED)
    return fresh(known)


def fresh(fault: Fault) -> Fault:
    """A new exception of the same texts, so that no traceback is kept from one job to the next."""
    return Fault(fault.code, fault.message, fault.hint)
