"""The child process that holds an executor's Ray: starts or joins it, and does what it is told.

Three threads: one reads messages and notes when the parent has gone, one looks at the nodes, and
the main one does what both ask for, so that no call to a Ray that has gone silent keeps a message.
"""

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from typing import NoReturn

from cluster.driver.driver_process import end_family
from cluster.driver.ray_calls import RayCalls
from cluster.driver.ray_look import NodeLook, RayWatch
from cluster.driver.ray_session import RaySession, open_session
from cluster.driver_messages import (
    Avoid,
    Cancel,
    Close,
    Copied,
    Ended,
    ExpectAgain,
    Look,
    Looked,
    Lost,
    Refused,
    Start,
    Started,
    Submit,
)
from cluster.errors import SurroundingsError
from cluster.executor import Ending, Outcome
from cluster.machine.asking_signals import REPEATED
from cluster.nodes.memory_pressure import MemoryPressure

_LOOK_EVERY_S = 1.0
_MOST_FAILED_LOOKS = 30
"""Looks in a row that may fail before this Ray is taken for lost."""
_BATCH = 256
_CLOSED_WITHIN_S = 20.0


def main(descriptor: int) -> None:
    """Hold a Ray for the process at the other end of this socket, until it says `Close` or ends."""
    # Workers inherit it: Ray interrupts calls by SIGINT, which a shell's `&` may have ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A scheduler sends these to every process; the launch hears them and asks the calls to stop.
    # Heard here, or by what Ray starts and workers inherit, they would end the machines first.
    for number in REPEATED:
        signal.signal(number, signal.SIG_IGN)
    _adopt_orphans()
    connection = Connection(descriptor)
    start = connection.recv()
    assert isinstance(start, Start)
    sys.path[:] = start.path
    parent = os.getppid()
    try:
        session = open_session(start, lambda: _await_code(connection))
    except SurroundingsError as fault:
        fault.__cause__ = None
        connection.send(Refused(fault))
        return
    connection.send(Started(session.warning, session.dashboard))
    _Driver(connection, session, parent, start.imports).run()


class _Driver:
    """What this process does between `Started` and its end."""

    def __init__(
        self, connection: Connection, session: RaySession, parent: int, imports: Sequence[str]
    ) -> None:
        self._connection = connection
        self._session = session
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._outcomes: list[Outcome] = []
        pressure = MemoryPressure(session.node_id)
        self._calls = RayCalls(self._finish, self._todo.put, pressure, imports)
        self._watch = RayWatch(session, self._calls, pressure)
        self._is_asked = threading.Event()
        self._is_closing = False
        threading.Thread(target=self._read, args=(parent,), daemon=True).start()
        threading.Thread(target=self._look_on, daemon=True).start()

    def run(self) -> None:
        """Do what there is to do, and send what calls ended, as many as there are at once."""
        while not self._is_closing:
            with suppress(queue.Empty):
                self._todo.get(timeout=_LOOK_EVERY_S)()
                for _ in range(_BATCH):
                    self._todo.get_nowait()()
            self._calls.kill_overdue()
            self._calls.release()
            if self._outcomes:
                self._blame_ray()
                self._connection.send(Ended(tuple(self._outcomes)))
                self._outcomes.clear()
        threading.Timer(_CLOSED_WITHIN_S, os._exit, (1,)).start()
        self._calls.stop()
        self._session.close()
        end_family(os.getpid())
        os._exit(0)

    def _finish(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)

    def _blame_ray(self) -> None:
        """Lose a Ray by whose fault calls have failed, so that none of them is charged for it."""
        others = [one for one in self._outcomes if one.ending is not Ending.RAISED]
        if len(others) < len(self._outcomes) and (lost := self._session.lost_part()) is not None:
            self._outcomes = others
            self._lose(lost)

    def _read(self, parent: int) -> None:
        """Hand on what the parent says; once it has gone, end."""
        with suppress(EOFError, OSError):
            while True:
                while not self._connection.poll(_LOOK_EVERY_S):
                    if os.getppid() != parent:
                        raise EOFError
                self._take(self._connection.recv())
        self._todo.put(self._close)

    def _take(self, message: object) -> None:
        if isinstance(message, Submit):
            self._todo.put(lambda: self._calls.submit(message))
        elif isinstance(message, Avoid):
            self._watch.shunned = message.nodes
            self._is_asked.set()
        elif isinstance(message, Cancel):
            self._todo.put(lambda: self._calls.cancel(message.ticket, message.grace_s))
        elif isinstance(message, ExpectAgain):
            self._todo.put(lambda: self._calls.expect_again(message.ticket))
        elif isinstance(message, Look):
            self._is_asked.set()
        elif isinstance(message, Close):
            self._todo.put(self._close)

    def _close(self) -> None:
        self._is_closing = True

    def _look_on(self) -> None:
        """Look at the nodes, every second and when asked; one bad look costs no call."""
        seen, num_failed = NodeLook(), 0
        while True:
            is_asked = self._is_asked.wait(_LOOK_EVERY_S)
            self._is_asked.clear()
            try:
                look, num_failed = self._watch.look(), 0
            except Exception as error:  # Ray raises many kinds: this thread must outlive them
                num_failed += 1
                look = seen
                if num_failed == _MOST_FAILED_LOOKS:
                    why = f"{type(error).__name__}: {error}".splitlines()[0]
                    look = NodeLook(lost=f"its nodes cannot be looked at ({why})")
            seen = replace(look, dead_calls={}, warnings=())
            self._todo.put(partial(self._note, look, is_asked=is_asked))

    def _note(self, look: NodeLook, *, is_asked: bool) -> None:
        if look.lost is not None:
            self._lose(look.lost)
        for ticket, outcome in look.dead_calls.items():
            self._calls.give_up(ticket, outcome)
        self._connection.send(
            Looked(
                nodes=look.nodes,
                free=look.free,
                is_answer=is_asked,
                warnings=look.warnings,
                rooms=look.rooms,
            )
        )

    def _lose(self, reason: str) -> NoReturn:
        with suppress(OSError):
            if self._outcomes:
                self._connection.send(Ended(tuple(self._outcomes)))
            self._connection.send(Lost(reason))
        self._session.discard()
        end_family(os.getpid())
        os._exit(1)


def _await_code(connection: Connection) -> None:
    """Wait until the packages are there that processes of our own Ray import as they start."""
    copied = connection.recv()
    assert isinstance(copied, Copied)


def _adopt_orphans() -> None:
    """Become the parent of workers whose raylet has died, so that they can be found and ended."""
    import ctypes

    set_child_subreaper = 36
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)
