"""Runs a launch that was handed over, and writes under the root how far it came."""

import argparse
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from cluster.disk.temp_folders import TempFolder
from cluster.errors import DeltascaleError, SurroundingsError, UserError
from cluster.storage import Storage
from orchestrator.console import note
from orchestrator.dispatch.waiting.outage import outlast_storage
from orchestrator.dispatch.waiting.patience import Patience
from orchestrator.records.detached import (
    is_stopped,
    kept_profile,
    mark_begun,
    mark_ended,
    read_detached,
)

_STOPPED = 130
_FAULT = 70


def profile_as_detached(root: Storage, study: str, identifier: str, into: Path) -> Path | None:
    """Write the profile of a detached launch, as it was, into a folder; None where it had none.

    Only prices and shapes of nodes are read of it: what it runs and sets was allowed before.
    """
    try:
        text = root.read(kept_profile(study, identifier))
    except FileNotFoundError:
        return None
    path = into / "profile.yaml"
    path.write_bytes(text)
    return path


def run_submission(
    options: argparse.Namespace, open_root: Callable[[], Storage], run: Callable[[], int]
) -> int:
    """Run what was handed to a queue or goes on detached, under the profile that it had then.

    Args:
        options: the words of the command line; the kept profile takes the place of its own.
        open_root: opens the output root.
        run: runs the launch.
    """
    patience = Patience()
    with suppress(UserError):  # a wrong word is refused by the launch, whose folder then says so
        patience = Patience.of_environment(getattr(options, "patience", None))
    with TempFolder("profile") as folder:
        chosen = (outlast_storage(open_root, patience), options.study, options.submission)
        kept = outlast_storage(partial(profile_as_detached, *chosen, folder), patience)
        options.on = str(kept) if kept else options.on
        return run_detached(*chosen, run, patience)


def run_detached(
    root: Storage,
    study: str,
    identifier: str,
    run: Callable[[], int],
    patience: Patience | None = None,
) -> int:
    """Run a launch that was handed over; return its exit code.

    Args:
        root: the output root.
        study: name of the study.
        identifier: id of what was handed over; one of a queue keeps account of itself.
        run: runs the launch.
        patience: how long to wait for the storage before the launch begins; None: as usual.
    """
    patience, chosen = patience or Patience(), (root, study, identifier)
    if outlast_storage(partial(read_detached, *chosen), patience) is None:
        return run()
    if outlast_storage(partial(is_stopped, *chosen), patience):
        note(f"{study!r} was cancelled before this launch began")
        mark_ended(root, study, identifier, _STOPPED)
        return _STOPPED
    outlast_storage(partial(mark_begun, *chosen), patience)
    code = _FAULT
    try:
        code = run()
    except DeltascaleError as fault:
        code = fault.exit_code
        raise
    except KeyboardInterrupt:
        code = _STOPPED
        raise
    finally:
        with suppress(SurroundingsError):
            mark_ended(root, study, identifier, code)
    return code
