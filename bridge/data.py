"""Where the profiles lie: the reader's own folder first, then those that are shipped.

Knows folders and file names only; what the files say is `bridge.profiles`' business.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import platformdirs

APP_NAME = "retrowalk"


def own_folder() -> Path:
    """The folder for a person's own settings and profiles on this platform."""
    return platformdirs.user_config_path(APP_NAME)


def data_folder() -> Path:
    """The folder for what the bridge records on this platform."""
    return platformdirs.user_data_path(APP_NAME)


def shipped_profiles() -> Traversable:
    """The profiles that came with this version.

    The wheel carries them inside the package; a checkout (editable install) has them beside it.
    """
    packed = files("bridge") / "profiles"
    return packed if packed.is_dir() else Path(__file__).resolve().parents[1] / "profiles"


def profile_files(kind: str, own: Path | None = None) -> dict[str, Traversable]:
    """The TOML files of one kind (``training``, ``devices``, ``languages``) by name without ending.

    A file in the person's own ``profiles`` folder takes the place of a shipped one of that name;
    ``own`` names another folder than the platform's.
    """
    found: dict[str, Traversable] = {}
    for root in (shipped_profiles(), (own or own_folder()) / "profiles"):
        folder = root / kind
        if folder.is_dir():
            found |= {
                file.name.removesuffix(".toml"): file
                for file in folder.iterdir()
                if file.name.endswith(".toml") and file.is_file()
            }
    return dict(sorted(found.items()))
