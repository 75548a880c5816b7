"""The errors of MySQL, MariaDB and their driver -> Faults of fixed text. Nothing of their messages gets out."""

import ssl
from typing import Final

from agent.core.errors import Fault
from agent.sources._attempt import unavailable

_DRIVERS_FIRST, _DRIVERS_LAST = 2000, 2999
"""The driver's own errors."""

_NOTHING_THERE: Final = unavailable(
    "Nothing listens at the source's address.", "Check that the server runs, and `host` and `port` of the source."
)
_NO_ANSWER: Final = unavailable(
    "The server did not answer in time.", "Check `host` and `port`, the network, and `connect_timeout_seconds`."
)
_NO_TLS: Final = unavailable(
    "The server does not offer TLS, and the source asks for it.",
    "Set ssl_cert and ssl_key at the server, or `tls.mode: disable` where the network is trusted.",
)
_TLS: Final = unavailable(
    "The TLS connection could not be made.", "Check the TLS settings of the source and of the server."
)
_UNTRUSTED: Final = unavailable(
    "The server's certificate is not one that the source trusts.",
    "Set `tls.ca_file` of the source to the CA that signed it; check that it has not expired.",
)
_MISNAMED: Final = unavailable(
    "The server's certificate is for another host name.",
    "Write in `host` the name that the certificate has, or give the server a certificate with this name.",
)
_HOSTNAME_MISMATCHES: Final = frozenset({62, 64})
_ACCOUNT: Final = unavailable(
    "The server refused the source's account or its password.",
    "Check `user` and `password` of the source, and from which hosts the account may connect.",
)
_CLEAR_TEXT: Final = unavailable(
    "The server asks for the password in clear text, which goes only to a server that has proven who it is.",
    "Set `tls.mode` to verify-full, or give the account another authentication plugin.",
)
_NOT_OPENED: Final = unavailable(
    "The source's server refused the connection.", "The platform engineer runs `agent sources test`."
)
_CUT: Final = Fault(
    "source.unavailable",
    "The connection to the source's server was cut.",
    "Run the job again; if it recurs, look into the server's log.",
)
_NOT_BOUND: Final = Fault(
    "source.binding",
    "The engine could not bind the statement.",
    "Check that tables, columns and functions exist there, and that operators get the types that they take.",
)
_DENIED: Final = Fault(
    "source.binding",
    "The source's account may not read a table, or a column, that the statement reads.",
    "The platform engineer grants SELECT on it, or the security officer denies it in the policy.",
)
_FAILED: Final = Fault(
    "source.error", "The engine reported an error while running the statement.", "Check casts, divisions and types."
)
_INTERRUPTED: Final = Fault(
    "limit.wall", "The statement was interrupted.", "Ask for less, or raise limits.wall_seconds."
)
_OUT_OF_MEMORY: Final = Fault(
    "limit.memory",
    "The result needed more memory than its limit.",
    "Aggregate earlier, select fewer columns, or raise limits.memory_mb.",
)

_OPENING: Final[dict[int, Fault]] = {
    **dict.fromkeys((2002, 2003, 2005), _NOTHING_THERE),
    **dict.fromkeys((2013, 2055), _NO_ANSWER),
    2026: _NO_TLS,
    **dict.fromkeys((1043, 2012, 3159), _TLS),
    **dict.fromkeys((1045, 1130, 1132, 1133, 1251, 1698, 1862, 2061, 3118, 3955, 4151), _ACCOUNT),
    2059: _CLEAR_TEXT,
    **dict.fromkeys(
        (1040, 1203, 1226, 1129),
        unavailable(
            "The source's server takes no further connections now.",
            "Try again later, or raise max_connections or the account's limits.",
        ),
    ),
    1053: unavailable("The source's server is shutting down.", "Try again when it runs."),
    1142: unavailable("The source's account may not read the catalog.", "Grant SELECT on the database to it."),
}
_RUNNING: Final[dict[int, Fault]] = {
    **dict.fromkeys((1969, 3024, 1317), _INTERRUPTED),
    **dict.fromkeys((1927, 3169, 2006, 2013, 2014, 2055, 1053, 1152, 1158, 1159, 1160, 1161, 4031), _CUT),
    **dict.fromkeys((1142, 1143, 1227, 1356, 1045), _DENIED),
    1792: Fault("source.binding", "The statement is not exactly one query.", "Send one SELECT."),
    **dict.fromkeys((1037, 1038, 1041), _OUT_OF_MEMORY),
    **dict.fromkeys(
        (1205, 1213, 1689, 3572),
        Fault("source.error", "The statement waited too long for a lock.", "Run the job again."),
    ),
    **dict.fromkeys(
        (1003, 1021, 1030, 1114, 126),
        Fault("source.error", "The server ran out of room for temporary data.", "Ask for less at once."),
    ),
    **dict.fromkeys(
        (1264, 1690, 1916),
        Fault("source.error", "A value left the range of its type.", "Cast to a wider type before the operation."),
    ),
    **dict.fromkeys(
        (1139, 3685, 3686, 3687, 3688, 3690, 3691, 3692, 3696, 3697, 3698, 3699),
        Fault("source.error", "A regular expression is not valid for this engine.", "Write it more plainly."),
    ),
    1242: Fault(
        "source.error", "A sub-query in an expression returned more than one row.", "Aggregate it, or LIMIT 1."
    ),
    1153: Fault("source.error", "A value is larger than the server sends.", "Raise max_allowed_packet on the server."),
}
_BINDING: Final = frozenset(
    {
        1044, 1046, 1049, 1051, 1052, 1054, 1055, 1056, 1059, 1060, 1064, 1065, 1066, 1109, 1110, 1111, 1115, 1140,
        1146, 1148, 1166, 1191, 1210, 1214, 1221, 1222, 1235, 1241, 1247, 1248, 1253, 1267, 1270, 1271, 1273, 1304,
        1305, 1318, 1327, 1353, 1370, 1412, 1415, 1582, 1583, 1584, 1630, 1674, 3029, 3030, 3065, 3573, 3574, 3576,
        3577, 3579, 3580, 3581, 3582, 3583, 3586, 3593, 3948, 4002, 4003, 4004, 4005, 4006, 4007, 4008, 4009, 4014,
        4015, 4016, 4017, 4018, 4019, 4078, 4079, 4107, 4166,
    }
)  # fmt: skip
"""What the server finds out about a statement before it reads a row, whatever the rows hold."""


def opening_fault(error: Exception) -> Fault:
    """Why the server could not be reached or entered: Fault(source.unavailable)."""
    cause = getattr(error, "original_exception", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return fresh(_MISNAMED if cause.verify_code in _HOSTNAME_MISMATCHES else _UNTRUSTED)
    if isinstance(cause, ssl.SSLError):
        return fresh(_TLS)
    if isinstance(cause, TimeoutError):
        return fresh(_NO_ANSWER)
    if isinstance(cause, OSError):
        return fresh(_NOTHING_THERE)
    return fresh(_OPENING.get(_number(error), _NOT_OPENED))


def running_fault(error: Exception) -> Fault:
    """Why a statement did not run to its end: Fault(source.* | limit.memory | limit.wall)."""
    if isinstance(error, MemoryError):
        return fresh(_OUT_OF_MEMORY)
    if isinstance(error, OSError):
        return fresh(_CUT)
    number = _number(error)
    if number in _BINDING:
        return fresh(_NOT_BOUND)
    return fresh(_RUNNING.get(number, _CUT if _is_lost(error) else _FAILED))


def number_of(error: Exception) -> int:
    """The server's or the driver's number of an error; 0 when it has none."""
    return _number(error)


def is_answer(error: Exception) -> bool:
    """Whether the server itself said so, and not the driver: the statement is over, the connection is not."""
    number = _number(error)
    return number > 0 and not _DRIVERS_FIRST <= number <= _DRIVERS_LAST


def _number(error: Exception) -> int:
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0


def _is_lost(error: Exception) -> bool:
    """The driver's own errors after a connection broke, which have no numbers."""
    return type(error).__name__ in {"InterfaceError", "InternalError"} and _number(error) == 0


def fresh(fault: Fault) -> Fault:
    """A new exception of the same texts, so that no traceback is kept from one job to the next."""
    return Fault(fault.code, fault.message, fault.hint)
