"""sandbox.yaml, the environment and secret references -> `Settings` (frozen). The only reader of any of them.

Names load on first use: finding a file and reading its folders must not cost the models' import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.settings.checking import check
    from agent.settings.findings import Finding, SettingsError
    from agent.settings.loading import load
    from agent.settings.locate import find_config, state_dir
    from agent.settings.policyfile import LoadedPolicy, load_policy, read_policy
    from agent.settings.reference import policy_schema, schema
    from agent.settings.settings import Settings

_HOMES = {
    "Finding": "findings",
    "LoadedPolicy": "policyfile",
    "Settings": "settings",
    "SettingsError": "findings",
    "check": "checking",
    "find_config": "locate",
    "load": "loading",
    "load_policy": "policyfile",
    "policy_schema": "reference",
    "read_policy": "policyfile",
    "schema": "reference",
    "state_dir": "locate",
}

__all__ = [
    "Finding",
    "LoadedPolicy",
    "Settings",
    "SettingsError",
    "check",
    "find_config",
    "load",
    "load_policy",
    "policy_schema",
    "read_policy",
    "schema",
    "state_dir",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
