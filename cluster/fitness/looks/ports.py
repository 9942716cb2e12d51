"""Finds out which machines a machine reaches by TCP at ports that the kernel chooses."""

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_AGAIN_S = 0.2
_CONNECT_S = 2.0


def look_free(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a port at which nobody listens now.

    Args:
        asked: `address` of this machine for the others.
    """
    with socket.socket() as free:
        free.bind((asked["address"], 0))
        return {"port": free.getsockname()[1]}


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Listen at a port while connecting to all others; return those that were not reached, and why.

    Args:
        asked: `address` and `port` to listen at; `others`: name -> [address, port]; `wait_s`: how
            long to listen, and how long to try.
    """
    until = time.monotonic() + asked["wait_s"]
    others: Mapping[str, Any] = asked["others"]
    heard: set[str] = set()
    with socket.create_server((asked["address"], asked["port"])) as server:
        server.settimeout(_AGAIN_S)
        threading.Thread(target=_listen, args=(server, heard, until), daemon=True).start()
        faults: dict[str, str] = {}
        tries = [
            threading.Thread(target=_reach, args=(name, place, until, faults), daemon=True)
            for name, place in others.items()
        ]
        for one in tries:
            one.start()
        for one in tries:
            one.join()
        while time.monotonic() < until and len(heard) < len(
            {place[0] for place in others.values()}
        ):
            time.sleep(_AGAIN_S)
    return {"unreached": faults}


def _listen(server: socket.socket, heard: set[str], until: float) -> None:
    while time.monotonic() < until:
        with suppress(OSError):
            connection, (host, *_) = server.accept()
            heard.add(host)
            connection.close()


def _reach(name: str, place: tuple[str, int], until: float, faults: dict[str, str]) -> None:
    """Connect, again and again: the other may not listen yet."""
    fault = "no time"
    while time.monotonic() < until:
        try:
            socket.create_connection((place[0], place[1]), timeout=_CONNECT_S).close()
            return
        except TimeoutError:
            fault = "no answer: a firewall drops it, or the host is not reached"
        except OSError as error:
            fault = error.strerror or str(error)
            time.sleep(_AGAIN_S)
    faults[name] = fault
