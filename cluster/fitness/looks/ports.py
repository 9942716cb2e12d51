"""Finds out which machines a machine reaches by TCP at ports that the kernel chooses."""

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_AGAIN_S = 0.2
_CONNECT_S = 2.0
_MOST_LETTERS = 1000
"""Bytes of a node's name that are read."""


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
        asked: `name`, and `address` and `port` to listen at; `others`: name -> [address, port];
            `wait_s`: how long to listen, and how long to try.
    """
    until = time.monotonic() + asked["wait_s"]
    others: Mapping[str, Any] = asked["others"]
    heard: set[str] = set()
    with socket.create_server((asked["address"], asked["port"])) as server:
        server.settimeout(_AGAIN_S)
        threading.Thread(target=_listen, args=(server, heard, until), daemon=True).start()
        faults: dict[str, str] = {}
        tries = [
            threading.Thread(
                target=_reach, args=(asked["name"], name, place, until, faults), daemon=True
            )
            for name, place in others.items()
        ]
        for one in tries:
            one.start()
        for one in tries:
            one.join()
        while time.monotonic() < until and not others.keys() <= heard:
            time.sleep(_AGAIN_S)
    return {"unreached": faults}


def _listen(server: socket.socket, heard: set[str], until: float) -> None:
    """Note who connects, by the name that each sends: several nodes may share an address."""
    while time.monotonic() < until:
        with suppress(OSError):
            connection, _ = server.accept()
            with connection:
                connection.settimeout(_CONNECT_S)
                heard.add(connection.recv(_MOST_LETTERS).decode(errors="replace"))


def _reach(
    own: str, name: str, place: tuple[str, int], until: float, faults: dict[str, str]
) -> None:
    """Connect and say one's name, again and again: the other may not listen yet."""
    fault = "no time"
    while time.monotonic() < until:
        try:
            with socket.create_connection((place[0], place[1]), timeout=_CONNECT_S) as connection:
                connection.sendall(own.encode())
            return
        except TimeoutError:
            fault = "no answer: a firewall drops it, or the host is not reached"
        except OSError as error:
            fault = error.strerror or str(error)
            time.sleep(_AGAIN_S)
    faults[name] = fault
