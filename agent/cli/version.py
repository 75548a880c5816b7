"""`agent version`: what this build is and can do."""

from agent.cli.options import Json


def version(*, as_json: Json = False) -> None:
    """Version, platform, and the kinds, dialects and sources that this build knows."""
    import platform
    from importlib.metadata import version as installed

    from agent import __version__
    from agent.cli.render import put, put_json
    from agent.dialects import DIALECTS
    from agent.wire.models import KINDS

    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "kinds": list(KINDS),
        "dialects": sorted(DIALECTS),
        "engines": {name: installed(name) for name in ("duckdb", "sqlglot", "pyarrow", "cryptography")},
    }
    if as_json:
        put_json(facts)
        return
    put(f"meridyen-agent {__version__} (Python {facts['python']}, {facts['platform']})")
    put(f"kinds: {', '.join(KINDS)}; dialects: {', '.join(facts['dialects'])}")
