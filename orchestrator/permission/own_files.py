"""Where are the files of the user's own, and may they be believed?"""

import json
import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cluster.checked_json import parse_json
from cluster.errors import UserError
from cluster.home import home_folder
from cluster.storage import Storage

CONFIG_VARIABLE = "DELTASCALE_CONFIG"


def configuration_path() -> Path:
    """Return `$DELTASCALE_CONFIG`, else `config.yaml` in the user's folder for configuration."""
    chosen = os.environ.get(CONFIG_VARIABLE)
    return Path(chosen) if chosen else _base("XDG_CONFIG_HOME", ".config") / "config.yaml"


def profiles_folder() -> Path:
    """Return the folder of the user's own profiles, beside the configuration."""
    return configuration_path().parent / "profiles"


def confirmations_path() -> Path:
    """Return the file that remembers what the user confirmed, in the user's folder for state."""
    return _base("XDG_STATE_HOME", ".local/state") / "confirmed-keys.json"


def known_entries_path() -> Path:
    """Return the file that lists the folders of entries that the user has let run, or launched."""
    return _base("XDG_STATE_HOME", ".local/state") / "known-entries.json"


def known_profiles_path() -> Path:
    """Return the file that lists the profiles that the user has allowed, with their digests."""
    return _base("XDG_STATE_HOME", ".local/state") / "known-profiles.json"


def submissions_place() -> Path:
    """Return the folder of batch scripts and logs of studies whose root is no path."""
    return _base("XDG_STATE_HOME", ".local/state") / "slurm"


def kept_code_place() -> Path:
    """Return the folder of the code of queued studies: a root that others write runs none as us."""
    return _base("XDG_STATE_HOME", ".local/state") / "code"


def _base(variable: str, otherwise: str) -> Path:
    chosen = os.environ.get(variable, "")
    # A path that is not absolute is to be ignored, says the specification.
    folder = Path(chosen) if os.path.isabs(chosen) else home_folder() / otherwise
    return folder / "deltascale"


def require_own(path: Path, root: Storage) -> None:
    """Refuse a file that somebody else may write: whoever writes the root must not allow anything.

    Raises:
        UserError: it is another user's, others may write it, or it lies under the root.
    """
    try:
        state = path.stat()
    except OSError:
        return
    if root.is_local and path.resolve().is_relative_to(Path(root.url).resolve()):
        raise UserError(
            "this file decides what studies may do, and lies under the output root",
            where=str(path),
            hint=f"move it, or set {CONFIG_VARIABLE}: whoever writes to a root must not allow it",
        )
    if state.st_uid not in (os.getuid(), 0):
        raise UserError("this file belongs to another user, so it is not read", where=str(path))
    if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UserError(
            "other users may write this file, so it is not read",
            where=str(path),
            hint=f"chmod go-w {path}",
        )


def remembered(path: Path, root: Storage | None) -> list[object]:
    """Return what a file of the user's own lists; nothing where there is none, or it is damaged.

    Raises:
        UserError: somebody else may write it.
    """
    if root is not None:
        require_own(path, root)
    with suppress(OSError, ValueError):
        content = parse_json(path.read_bytes())
        return content if isinstance(content, list) else []
    return []


def remember(path: Path, entries: Sequence[object]) -> None:
    """Write such a list, readable by the user alone, at once.

    Where the home takes no file, nothing is remembered: the user is asked again next time.
    """
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=path.parent)  # private
        with os.fdopen(descriptor, "w") as stream:
            json.dump(list(entries), stream, indent=1)
        os.replace(name, path)
