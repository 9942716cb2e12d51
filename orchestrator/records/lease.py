"""A lease with a heartbeat and a fencing token, for roots that have no `flock`.

Every holder creates an object of its own, `lock/<token>`, create-only, with the next higher token;
the highest token holds. Of two takers exactly one creates it, and a holder that was passed over
finds a higher token beside its own.
"""

import contextlib
import json
import os
import platform
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from orchestrator.records.holder import Holder, held_elsewhere

HEARTBEAT_S = 30.0
"""How often a holder says that it lives."""
EXPIRES_AFTER_S = 90.0
"""Silence after which a lease is anybody's: three heartbeats."""


@contextlib.contextmanager
def held_lease(storage: Storage, folder: str, holder: Holder, takeover: bool) -> Iterator[None]:
    """Hold the lease while the block runs. Raises SurroundingsError when a live holder has it.

    A holder that loses it meanwhile, or cannot renew it in time, is interrupted as by Ctrl-C: it
    must not write any more.
    """
    token = _take(storage, folder, holder, takeover)
    ended = threading.Event()
    main_thread = threading.main_thread().ident
    assert main_thread is not None

    def beat() -> None:
        renewed_at = time.monotonic()
        while not ended.wait(HEARTBEAT_S):
            try:
                is_lost = _highest(storage, folder) != token
                if not is_lost:
                    _say(storage, folder, token, holder)
                    renewed_at = time.monotonic()
            except SurroundingsError:  # the storage does not answer: the lease runs out meanwhile
                is_lost = time.monotonic() - renewed_at > EXPIRES_AFTER_S
            if is_lost:
                # To the thread that may be waiting: a signal to this one would not wake it.
                signal.pthread_kill(main_thread, signal.SIGINT)
                return

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(SurroundingsError):  # it runs out by itself
            if _highest(storage, folder) == token:
                _say(storage, folder, token, holder, released=True)


def lease_holder(storage: Storage, folder: str) -> Holder | None:
    """Who holds the lease now; None when it is free, released, expired, or its holder is dead."""
    token = _highest(storage, folder)
    if token == 0:
        return None
    try:
        said: dict[str, Any] = json.loads(storage.read(_name(folder, token)))
        holder = Holder(**said["holder"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    expired = time.time() - said["at"] > EXPIRES_AFTER_S
    return None if said["released"] or expired or _is_dead(holder) else holder


def _take(storage: Storage, folder: str, holder: Holder, takeover: bool) -> int:
    present = lease_holder(storage, folder)
    if present is not None and not takeover:
        raise held_elsewhere(folder.split("/")[1], present, storage.url, can_take_over=True)
    token = _highest(storage, folder) + 1
    if not storage.create(_name(folder, token), _said(holder, released=False)):
        raise SurroundingsError("another launch took the study's lease first", where=storage.url)
    for name in storage.list(folder):
        if int(name) < token:
            storage.remove(f"{folder}/{name}")
    return token


def _highest(storage: Storage, folder: str) -> int:
    return max((int(name) for name in storage.list(folder)), default=0)


def _say(
    storage: Storage, folder: str, token: int, holder: Holder, *, released: bool = False
) -> None:
    storage.write(_name(folder, token), _said(holder, released=released))


def _said(holder: Holder, *, released: bool) -> bytes:
    return json.dumps({"holder": asdict(holder), "at": time.time(), "released": released}).encode()


def _name(folder: str, token: int) -> str:
    return f"{folder}/{token:08d}"


def _is_dead(holder: Holder) -> bool:
    """True when it ran on this machine and its process is gone."""
    if holder.host != platform.node():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
