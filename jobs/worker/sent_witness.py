"""Sends to a remote root what the keeper of a log saw of its worker's death, and the log's end.

On a remote root a worker writes into a folder of its own machine and uploads now and then. Killed,
it uploads nothing more; its keeper, which knows no storage, starts this with what the worker had:
its environment, which names the credentials, and where it imported its code from.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_CODE = "import json, sys; given = json.load(sys.stdin); sys.path[:] = given['path']; "
_CODE += "from jobs.worker.sent_witness import send; send(given)"


def to_root(root: str, attempt_folder: str) -> dict[str, Any]:
    """Return what a keeper has to know to send what it saw; it holds secrets, so it is never kept.

    Args:
        root: address of the remote root.
        attempt_folder: folder of the attempt, relative to it.
    """
    return {
        "root": root,
        "folder": attempt_folder,
        "path": sys.path,
        "environment": dict(os.environ),
    }


def start_sending(way: Mapping[str, Any], log: str, witness: str, testimony: str) -> None:
    """Start a process that sends a testimony and a log; nobody waits for it.

    Args:
        way: from `to_root`.
        log: the log's file on this machine.
        witness: name of the testimony in the attempt.
        testimony: its text.
    """
    with suppress(OSError), open(log, "rb") as opened:  # its folder may be swept at any time
        given = {**way, "environment": None, "log": opened.fileno(), "log_name": Path(log).name}
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", _CODE],
            env=way["environment"],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[opened.fileno()],
            start_new_session=True,
        )
        assert child.stdin is not None
        with child.stdin as told:
            told.write(json.dumps({**given, "witness": witness, "testimony": testimony}).encode())


def send(given: Mapping[str, Any]) -> None:
    """Write testimony and log below the attempt; a storage that is away has neither."""
    from cluster.storage import Storage

    root = Storage(given["root"])
    root.write(f"{given['folder']}/{given['witness']}", given["testimony"].encode())
    with open(given["log"], "rb") as log:
        log.seek(0)
        root.write(f"{given['folder']}/{given['log_name']}", log.read())
