"""HTTPS_PROXY and NO_PROXY, as other programs know them -> the proxy of a link whose own settings name none."""

import re
from collections.abc import Mapping
from typing import Any, Final

from agent.settings.findings import Path

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
"""Whatever the environment says of a proxy, what runs on this machine is reached without it."""
_HOST: Final = re.compile(r"\*|\.?[A-Za-z0-9_][A-Za-z0-9_.-]*(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\]")
"""What an entry of NO_PROXY may be; networks are not known here and say nothing."""


def from_environment(tree: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Path, str]]:
    """What the environment adds to the settings, and which variable each path is of.

    The address may hold a login: it is kept as a reference to its variable, so that nothing shows it.
    """
    transport = tree.get("transport")
    link = transport.get("https") if isinstance(transport, Mapping) else None
    name = _first(environ, "HTTPS_PROXY")
    if not isinstance(link, Mapping) or name is None or link.get("proxy") is not None:
        return {}, {}
    added: dict[str, Any] = {"proxy": f"env:{name}"}
    origins: dict[Path, str] = {("transport", "https", "proxy"): name}
    if link.get("no_proxy") is None:
        without = _first(environ, "NO_PROXY")
        listed = environ[without].split(",") if without is not None else []
        hosts = (host for host in map(str.strip, listed) if _HOST.fullmatch(host))
        added["no_proxy"] = list(dict.fromkeys((*_LOOPBACK, *hosts)))
        if without is not None:
            origins["transport", "https", "no_proxy"] = without
    return {"transport": {"https": added}}, origins


def _first(environ: Mapping[str, str], name: str) -> str | None:
    """The spelling that is set; the lower one first, as in curl."""
    return next((spelt for spelt in (name.lower(), name) if environ.get(spelt)), None)
