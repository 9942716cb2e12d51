"""Executor `ray`: runs calls as Ray tasks on a Ray of our own, or on one that is joined.

Ray itself lives in a child process (`cluster/driver/ray_driver.py`): it ends the process that it is
connected from when the head of the cluster is lost, and this one has a launch to keep.
"""

import logging
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from cluster.delivery.packages import archive_packages, copy_packages
from cluster.disk.temp_folders import TempFolder
from cluster.driver.driver_process import DriverProcess
from cluster.driver.own_ray_variables import require_own_ray_can_read, with_set_variables
from cluster.driver.ray_access import OPEN_ALLOWED, TOKEN, TOKEN_PATH, require_address
from cluster.driver_messages import (
    Avoid,
    Cancel,
    Close,
    Copied,
    Ended,
    ExpectAgain,
    FromChild,
    Look,
    Looked,
    Lost,
    Refused,
    SlowStart,
    Start,
    Started,
    Submit,
)
from cluster.errors import SurroundingsError
from cluster.executor import Ending, NodeRoom, Outcome
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources, this_machine
from cluster.machine.worker_environment import worker_environment
from cluster.orphans.launch_label import VARIABLE, current_label

_CHILD = "cluster.driver.ray_driver"
_STARTED_WITHIN_S = 180.0
_STARTS = 3
"""Starts of our own Ray on a machine that is too slow for it: what was read once from a disk far
away is read faster."""
_CLOSED_WITHIN_S = 30.0
_LOOKED_WITHIN_S = 5.0
"""How long an answer about the nodes is waited for; then what was known before stands."""
_SILENT_S = 120.0
"""How long the child may say nothing. It speaks every second; Ray ends it 60 s after the head of a
joined cluster was last heard of."""


class Executor:
    """Runs calls on a Ray that dies with this process, or on one that is joined.

    Args:
        address: A running Ray to join; None starts one on this machine.
        offered: What our own Ray may use; None is the whole machine. Ignored when joining.
        packages: Names of importable packages that calls have as they are at `start`, whatever
            becomes of their files; they are carried to a joined Ray.
        libraries: Names of libraries of which every node of a joined Ray must have the versions
            that are here.
        grace_s: How long an interrupted call may save its work before its process is killed.
        keys: Names of further variables that calls need; they hold secrets. Read at `start`.
        also: Names of variables that calls may see besides what libraries read; `*` at the end.
        takes_unlike_nodes: Whether a Ray is joined, too, whose nodes have other libraries or other
            code than this process: to look at them.
        preloaded: Names of modules that processes of our own Ray import as they start, before a
            call comes.
        imports: Names of modules that the ranks of calls import, for processes that stand ready to
            be some.
        access: Ray's variables that say where the token of a joined Ray is, in place of those that
            are set; empty: those that are set.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        offered: Resources | None = None,
        packages: Sequence[str] = (),
        libraries: Sequence[str] = (),
        preloaded: Sequence[str] = (),
        imports: Sequence[str] = (),
        grace_s: float = 40.0,
        keys: Sequence[str] = (),
        also: Sequence[str] = (),
        access: Mapping[str, str] | None = None,
        takes_unlike_nodes: bool = False,
    ) -> None:
        self.grace_s = grace_s
        self._address = address
        self._offered = offered
        self._packages, self._libraries = packages, libraries
        self._preloaded, self._imports = preloaded, imports
        self._keys, self._also = keys, also
        self._access = access or {}
        self._takes_unlike_nodes = takes_unlike_nodes
        self.warning: str | None = None
        """What the user has to know of the Ray that was started or joined."""
        self.dashboard: str | None = None
        """`host:port` of its dashboard; None where there is none."""
        self._staged: TempFolder | None = None
        self._process: DriverProcess | None = None
        self._running: dict[str, None] = {}
        self._outcomes: list[Outcome] = []
        self._looked = Looked(nodes=(), free=(), is_answer=False)
        self._heard_at = 0.0
        self._gone = "it was not started"

    def start(self) -> None:
        """Start or join Ray.

        Raises:
            SurroundingsError: it cannot be had.
            UserError: variables of this process keep one of our own from starting.
        """
        self._end_process()
        if self._address is None:
            require_own_ray_can_read(os.environ)
        else:
            require_address(self._address)
        self._environment = worker_environment(os.environ, keys=self._keys, also=self._also)
        variables = dict(self._environment.plain)
        if self._address is not None:
            if TOKEN in os.environ:
                variables[TOKEN] = os.environ[TOKEN]
            if self._access:
                for name in (TOKEN, TOKEN_PATH):
                    variables.pop(name, None)
                variables |= self._access
        if (label := current_label()) is not None:
            variables[VARIABLE] = str(label)
        for number in range(1, _STARTS + 1):
            self._process = DriverProcess(_CHILD, variables)
            try:
                self._open(self._process)
            except SurroundingsError as fault:
                self._end_process()
                if self._address is not None:
                    raise
                if number == _STARTS or not isinstance(fault, SlowStart):
                    raise with_set_variables(fault, variables) from None
                logging.getLogger(__name__).warning("warning: %s; it is tried again", fault.error)
            except BaseException:
                self._end_process()
                raise
            else:
                break
        self._survey()

    def _open(self, process: DriverProcess) -> None:
        code = self._place_of_packages()
        is_own = self._address is None
        process.send(
            Start(
                path=[str(code), *sys.path] if code and is_own else sys.path,
                address=self._address,
                offered=self._offered or this_machine(),
                code=None if code is None else str(code),
                packages=self._packages,
                libraries=self._libraries,
                label=current_label(),
                is_open_allowed=os.environ.get(OPEN_ALLOWED, "") not in ("", "0"),
                takes_unlike_nodes=self._takes_unlike_nodes,
                preloaded=self._preloaded,
                imports=self._imports,
            )
        )
        if code is not None:  # while Ray is imported
            if is_own:
                copy_packages(self._packages, code, compiled=True)
            else:
                archive_packages(self._packages, code)
            process.send(Copied())
        message = process.receive(_STARTED_WITHIN_S)
        if isinstance(message, Refused):
            raise message.fault
        if not isinstance(message, Started):
            why = message.reason if isinstance(message, Lost) else "it took too long"
            raise SurroundingsError(
                f"Ray cannot be {'joined' if self._address else 'started'}: {why}",
                where=self._address or "this machine",
                fault_class=FaultClass.CLUSTER,
                code="cluster-unreachable",
            )
        self.warning, self.dashboard = message.warning, message.dashboard
        if message.warning is not None:
            logging.getLogger(__name__).warning("warning: %s", message.warning)
        self._heard_at = time.monotonic()

    def capacity(self) -> Resources:
        """Return everything on living nodes."""
        total = Resources(num_cpus=0)
        for node in self.nodes():
            total = total.plus(node)
        return total

    def nodes(self) -> list[Resources]:
        """Return what each living node offers."""
        self._survey()
        return list(self._looked.nodes)

    def free(self) -> list[Resources]:
        """Return what each living node has left, as Ray last heard."""
        self._survey()
        return list(self._looked.free)

    def rooms(self) -> Sequence[NodeRoom]:
        """Return the living nodes by name, as they were last looked at."""
        return self._looked.rooms

    def most_ranks(self) -> float:
        """Return infinity: a call may have as many ranks as the nodes hold."""
        return math.inf

    def avoid(self, nodes: frozenset[str]) -> None:
        """Send calls to other nodes than these, by id or address."""
        self._living().send(Avoid(nodes))

    def submit(
        self,
        ticket: str,
        entry: str,
        payload: str,
        resources: Resources,
        *,
        avoided: frozenset[str] = frozenset(),
        node: str | None = None,
    ) -> None:
        """Queue one call as one Ray task; a call of several ranks as a task that runs the gang.

        With the id of a node it runs there at once, and takes nothing of what calls share.
        """
        process = self._living()
        process.send(
            Submit(
                ticket=ticket,
                entry=entry,
                payload=payload,
                resources=resources,
                secrets=self._secrets_of(payload),
                avoided=avoided,
                node=node,
            )
        )
        self._running[ticket] = None

    def submit_beside(self, ticket: str, node: str, entry: str, payload: str) -> None:
        """Queue one small call as a Ray task that is held to a node and asks for nothing."""
        self._living().send(Submit.beside(ticket, node, entry, payload))
        self._running[ticket] = None

    def _secrets_of(self, payload: str) -> dict[str, str]:
        """Return the secrets that a call may hold: those of libraries, and the keys it names.

        On a joined Ray a call has the environment of its node, and is sent nothing of this one.
        """
        if self._address is not None:
            return {}
        return {
            name: value
            for name, value in self._environment.secret.items()
            if name not in self._keys or name in payload
        }

    def wait(self, timeout_s: float) -> list[Outcome]:
        """Return the calls that ended; those of a Ray that was lost once there is one again."""
        process = self._living()
        if not self._outcomes:
            self._hear(process, timeout_s)
        while (message := process.receive(0)) is not None:
            self._note(message)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def cancel(self, ticket: str, *, within_s: float | None = None) -> None:
        """Interrupt one call; its process is killed when it does not end in time.

        Args:
            ticket: of the call.
            within_s: that time, where it is longer than `grace_s`.
        """
        process = self._living()
        if ticket in self._running:
            process.send(Cancel(ticket=ticket, grace_s=max(self.grace_s, within_s or 0.0)))

    def expect_again(self, ticket: str) -> None:
        """Have processes stand ready beside the ranks of a call, for a minute."""
        if ticket in self._running:
            self._living().send(ExpectAgain(ticket))

    def close(self) -> None:
        """Stop our own Ray, or leave the joined one; calls still running there are stopped."""
        if self._process is not None:
            self._process.send(Close())
            self._end_process(_CLOSED_WITHIN_S)
        self._running.clear()
        self._outcomes.clear()
        self._gone = "it was closed"

    def _living(self) -> DriverProcess:
        if self._process is None:
            self._raise_gone()
        return self._process

    def _hear(self, process: DriverProcess, timeout_s: float) -> None:
        """Wait until a call has ended, or the time is up."""
        until = time.monotonic() + timeout_s
        while not self._outcomes:
            left = until - time.monotonic()
            message = process.receive(max(0.0, left))
            if message is not None:
                self._note(message)
            elif left <= 0:
                break
        if time.monotonic() - self._heard_at > _SILENT_S:
            self._lose(f"its process has said nothing for {_SILENT_S:g} s")

    def _survey(self) -> None:
        """Ask what there is; keep what was known when no answer comes in time."""
        process = self._living()
        process.send(Look())
        until = time.monotonic() + _LOOKED_WITHIN_S
        while (left := until - time.monotonic()) > 0:
            message = process.receive(left)
            if message is not None:
                self._note(message)
            if isinstance(message, Looked) and message.is_answer:
                return

    def _note(self, message: FromChild) -> None:
        self._heard_at = time.monotonic()
        if isinstance(message, Ended):
            for outcome in message.outcomes:
                if outcome.ticket in self._running:
                    del self._running[outcome.ticket]
                    self._outcomes.append(outcome)
        elif isinstance(message, Looked):
            self._looked = message
            for warning in message.warnings:
                logging.getLogger(__name__).warning("warning: %s", warning)
        elif isinstance(message, Lost):
            self._lose(message.reason)

    def _lose(self, reason: str) -> NoReturn:
        """End what is left of a Ray that has gone; its calls come through `wait` later."""
        self._gone = reason
        self._end_process()
        self._outcomes += [
            Outcome(
                ticket=ticket,
                ending=Ending.LOST,
                error=f"Ray has gone: {reason}",
                fault_class=FaultClass.CLUSTER,
            )
            for ticket in self._running
        ]
        self._running.clear()
        self._raise_gone()

    def _raise_gone(self) -> NoReturn:
        raise SurroundingsError(
            f"Ray has gone: {self._gone}",
            where=self._address or "this machine",
            fault_class=FaultClass.CLUSTER,
        )

    def _end_process(self, within_s: float = 0.0) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(within_s)
        if self._staged is not None:
            self._staged.remove()
            self._staged = None

    def _place_of_packages(self) -> Path | None:
        """Return where the packages are to be copied: a file edited meanwhile changes no call.

        Workers of our own Ray import them from a folder; to a joined one they go as one file.
        """
        if not self._packages:
            return None
        self._staged = TempFolder("code")
        return self._staged.path if self._address is None else self._staged.path / "code.zip"
