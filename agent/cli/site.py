"""`--config` -> settings, policy and keys, for commands that need them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.identity.profile import Profile
    from agent.settings import LoadedPolicy, Settings


def settings(config: Path | None) -> "Settings":
    """The settings. Raises SettingsError, exit 78."""
    from agent.settings import load

    return load(config, os.environ)


def site(config: Path | None) -> "tuple[Settings, LoadedPolicy]":
    """The settings and their policy. Raises SettingsError, exit 78."""
    from agent.settings import load_policy

    loaded = settings(config)
    return loaded, load_policy(loaded)


def profile(folder: Path | None, config: Path | None) -> "Profile":
    """The submitter's profile: the one named, else `submitter` beside the configuration."""
    from agent.identity import profile as profiles
    from agent.settings import find_config

    return profiles.load(folder if folder is not None else find_config(config).absolute().parent / "submitter")
