"""The working folder of a process that computes: it is there, whoever has removed it."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

_CODE = Path(__file__).parents[2]


def stand_in_a_folder() -> None:
    """Go to the folder of the code, or else a temporary one, where the working folder is gone.

    MKL ends a process without one at its first product of matrices, with no exception. On a machine
    with two nodes of one session Ray unpacks the code twice at one place, and takes away what
    workers of the first node stand in (2.60: `overwrite=True` of its working folders). And a user
    may have removed the folder that a launch was begun in.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        for folder in (_CODE, Path(tempfile.gettempdir())):
            with suppress(OSError):
                os.chdir(folder)
                return
