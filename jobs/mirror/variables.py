"""What the environment says of W&B: whether runs are written, and which variables it is given.

Nothing here knows W&B's client: a launch asks before anything is imported.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from cluster.errors import unknown_name

_MODE = "WANDB_MODE"
_DISABLED = "WANDB_DISABLED"
"""The switch of earlier versions of transformers."""
_CACHE, _DATA = "WANDB_CACHE_DIR", "WANDB_DATA_DIR"
_TRUE = frozenset({"1", "on", "true", "yes"})
_MODES: Mapping[str, str] = {
    **{word: word for word in ("online", "offline", "disabled")},
    "dryrun": "offline",
    "run": "online",
    "shared": "online",  # several processes write one run there; here each job has its own
}
"""What W&B takes for a mode -> the mode that it is here."""
_WHO_AND_WHERE = frozenset(
    f"WANDB_{name}"
    for name in ("MODE", "API_KEY", "IDENTITY_TOKEN_FILE", "CREDENTIALS_FILE", "BASE_URL")
)
"""Variables without which runs would go to somebody else, or nowhere."""
_KEPT = _WHO_AND_WHERE | frozenset(
    f"WANDB_{name}"
    for name in (
        *("DISABLED", "APP_URL", "ENTITY", "USERNAME", "USER_EMAIL", "TAGS", "NOTES", "SILENT"),
        *("QUIET", "CONFIG_DIR", "CACHE_DIR", "DATA_DIR", "ARTIFACT_DIR", "HTTP_TIMEOUT"),
        *("FILE_PUSHER_TIMEOUT", "INSECURE_DISABLE_SSL", "ERROR_REPORTING", "DEBUG", "CORE_DEBUG"),
    )
)
"""Variables of W&B that say who and where the user is; all others are of one run, one sweep or one
process, and would make all jobs one run."""


def chosen_mode() -> str:
    """Return `online`, `offline` or `disabled` as the user chose; empty where nothing is chosen.

    A word that is no mode is somebody's wish that not all be sent: runs are offline.
    """
    word = _word()
    if not word:
        return "disabled" if _is_switched_off() else ""
    return _MODES.get(word, "offline")


def require_known_mode() -> None:
    """Require that `WANDB_MODE` is a mode. Raises UserError with the nearest."""
    if (word := _word()) and word not in _MODES:
        raise unknown_name("mode of W&B", word, _MODES, where=f"environment variable {_MODE}")


def left_over() -> list[str]:
    """List the variables of W&B that are of another run, and that it is not given."""
    names = sorted(name for name in os.environ if name.startswith("WANDB_"))
    return [name for name in names if name not in _KEPT]


def notes_on_variables() -> list[str]:
    """Say what of the environment W&B is not given; nothing where `WANDB_MODE` switches it off."""
    if chosen_mode() == "disabled":
        return [] if _word() else [f"no runs are written for W&B: {_DISABLED} is set"]
    notes = []
    if names := left_over():
        notes.append(f"W&B is not given {', '.join(names)}: each job is a run of its own")
    if os.environ.get(_CACHE) and not _is_writable(_cache_folder()):
        notes.append(f"{_CACHE} cannot be written here: W&B has one for the time being")
    return notes


def make_readable(read: Callable[[Mapping[str, str]], object]) -> list[str]:
    """Leave W&B with variables that it can read, and a folder that it can write its log to.

    Args:
        read: reads variables as W&B's client does, and raises ValueError.

    Returns:
        What it is not given, with the reason.
    """
    taken = []
    if word := _word():
        os.environ[_MODE] = chosen_mode()
        if word not in _MODES:
            taken.append(f"W&B is offline: {_MODE} is {word!r}, which is no mode")
    if not _is_writable(_cache_folder()):  # it would write its log to ours
        os.environ[_CACHE] = tempfile.mkdtemp(prefix="wandb-")
    for name in sorted(_KEPT - _WHO_AND_WHERE):
        value = os.environ.get(name)
        if value is None:
            continue
        try:
            read({name: value})
        except ValueError:
            del os.environ[name]
            taken.append(f"W&B is not given {name}: it cannot read {value!r}")
    return taken


def keep_tables_beside(runs: Path) -> None:
    """Have W&B keep what tables are made of beside the runs where it can write no own folder.

    Until they are sent it needs them, so a temporary folder would not do.
    """
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(
        os.environ.get("HOME", ""), ".local/share"
    )
    if not _is_writable(Path(os.environ.get(_DATA) or os.path.join(home, "wandb"))):
        os.environ[_DATA] = str(runs.absolute())


def _word() -> str:
    return os.environ.get(_MODE, "").strip().lower()


def _is_switched_off() -> bool:
    return os.environ.get(_DISABLED, "").strip().lower() in _TRUE


def _cache_folder() -> Path:
    """Return where W&B's own process writes its log, as it finds it: by the variables alone."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", ""), ".cache")
    return Path(os.environ.get(_CACHE) or os.path.join(home, "wandb"))


def _is_writable(folder: Path) -> bool:
    if not (folder.is_absolute() or str(folder) in (os.environ.get(_CACHE), os.environ.get(_DATA))):
        return False  # it knows no home
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
