"""Which file is read, and where its state lies: for commands that need no more, without the models."""

from collections.abc import Mapping
from pathlib import Path

from agent.settings import yamltree
from agent.settings.findings import Finding, SettingsError

NAME = "sandbox.yaml"
PLACES = (Path(NAME), Path("config", NAME), Path("/etc/meridyen", NAME))
DEFAULT_STATE_DIR = "state"
_VARIABLE = "MERIDYEN_STATE_DIR"


def find_config(explicit: Path | None) -> Path:
    """The file to read: the one named (or `sandbox.yaml` in the folder named), else the first of PLACES that exists.

    Raises SettingsError when there is none.
    """
    if explicit is not None:
        return explicit / NAME if explicit.is_dir() else explicit
    found = next((place for place in PLACES if _there(place)), None)
    if found is None:
        looked = ", ".join(str(place) for place in PLACES)
        fix = "Make one with `agent init DIR`, or name it with --config FILE."
        raise SettingsError([Finding(key="", problem=f"no configuration found (looked for {looked}).", fix=fix)])
    return found


def _there(place: Path) -> bool:
    """Whether it is a file. A working directory that this account may not look into, say root's, holds none for it."""
    try:
        return place.is_file()
    except PermissionError:
        if place.is_absolute():
            raise
        return False


def state_dir(path: Path | None, environ: Mapping[str, str]) -> Path:
    """`load(path, environ).state_dir` in a fraction of the time, for files that are otherwise wrong too.

    Raises SettingsError when the file cannot be read, or its state_dir is no text.
    """
    file = find_config(path).absolute()
    document = yamltree.read(file)
    variable = next((value for name, value in environ.items() if name.upper() == _VARIABLE and value), None)
    written = variable or document.data.get("state_dir", DEFAULT_STATE_DIR)
    if not isinstance(written, str):
        finding = Finding(
            key="state_dir", problem="must be a path.", where=document.name, line=document.line(("state_dir",))
        )
        raise SettingsError([finding])
    return file.parent / written
