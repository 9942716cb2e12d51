"""The home of a user who may have none: a number that no list of users names, and no `HOME`.

Containers are started so (`--user 1042`, Kubernetes, `--cleanenv`), and give `/` for a home where
they give one. Libraries that find none make a folder named `~` where they stand.
"""

import os
from pathlib import Path

_NONE = "/"


def home_folder() -> Path:
    """Return the home of this user, `/` where none is known."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(_NONE)


def missing_home() -> dict[str, str]:
    """Return `HOME` and its value where the variable is not set; else nothing."""
    return {} if "HOME" in os.environ else {"HOME": str(home_folder())}
