"""`email`: an e-mail address."""

from typing import Final

from agent.masking.pii.kind import Kind, whole

_WIDE: Final = "\u00a1-\uffff"
_LOCAL: Final = f"[0-9A-Za-z_!#$%&'+/=?^`{{|}}~.\\-{_WIDE}]{{1,64}}"
_LABEL: Final = f"[0-9A-Za-z_\\-{_WIDE}]{{1,63}}"
_FILES: Final = frozenset({"css", "gif", "htm", "html", "jpeg", "jpg", "js", "json", "pdf", "png", "svg", "webp"})
_ADDRESS: Final = f"{_LOCAL}@(?:{_LABEL}\\.){{1,8}}[A-Za-z{_WIDE}]{{2,24}}"


def _valid(address: str) -> bool:
    local, _, domain = address.rpartition("@")
    return ".." not in local and not local.startswith(".") and domain.rpartition(".")[2].lower() not in _FILES


EMAIL = Kind(
    name="email",
    about="`ann@example.org`; not `***@example.org`, which the rule `email` makes.",
    first="@",
    gate=f"[0-9A-Za-z_!#$%&'+/=?^`{{|}}~.\\-{_WIDE}]@[0-9A-Za-z_\\-{_WIDE}]",
    spans=whole(_ADDRESS, _valid),
)
