"""May this study send these keys there? Allowed by configuration, confirmed before, or asked now.

A study file is often somebody else's; it names a variable and an address, and with them it could
have any secret of the environment sent anywhere.
"""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import BaseModel

from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.kind import KINDS
from jobs.service.key_uses import KeyUse, key_uses, may_ask_hosts
from orchestrator.permission.configuration import read_configuration
from orchestrator.permission.own_files import (
    configuration_path,
    confirmations_path,
    remember,
    remembered,
)

Ask = Callable[[str], bool]
"""Asks the user a question, and returns whether the answer was yes."""


def allowed_keys(
    root: Storage, study: str, jobs: Iterable[Job], ask: Ask | None = None
) -> list[str]:
    """Return the variables whose keys these jobs send, once the user allows it.

    Args:
        root: the output root.
        study: name of the study.
        jobs: what is to be run.
        ask: asks the user; None where nobody can be asked.

    Raises:
        UserError: the user does not allow it, or nobody can be asked; the message says what to add
            to the configuration.
    """
    stages: dict[KeyUse, str] = {}
    for job in jobs:
        model: type[BaseModel] = KINDS.find(job.kind).Params
        if may_ask_hosts(model):
            for use in key_uses(job.params_as(model)):
                stages.setdefault(use, job.stage)
    if not stages:
        return []
    configuration = read_configuration(root)
    confirmed = _Confirmations(root, study)
    unknown = [
        use for use in sorted(stages) if not (configuration.allows(use) or confirmed.has(use))
    ]
    if unknown and (ask is None or not ask(_question(study, unknown))):
        raise _refusal(study, unknown, stages, was_asked=ask is not None)
    confirmed.add(unknown)
    return sorted({use.variable for use in stages})


def ask_at_terminal() -> Ask | None:
    """Return a way to ask the user, where there is a terminal to read from and write to."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str) -> bool:
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    return ask


def _question(study: str, uses: Iterable[KeyUse]) -> str:
    sent = "\n".join(f"  the key in {use.variable} to {use.host}" for use in uses)
    return f"study {study!r} would send\n{sent}\nAllow it, for this study on this root?"


def _refusal(
    study: str, uses: list[KeyUse], stages: dict[KeyUse, str], *, was_asked: bool
) -> UserError:
    lines = "".join(f"\n  - {{variable: {use.variable}, host: {use.host!r}}}" for use in uses)
    sent = " and ".join(f"the key in {use.variable} to {use.host}" for use in uses)
    why = "you did not allow" if was_asked else "has not been allowed, and nobody can be asked here"
    return UserError(
        f"study {study!r} would send {sent}, which {why}",
        where=", ".join(sorted({f"stage {stages[use]!r}" for use in uses})),
        hint=f"where that is meant, write into {configuration_path()}:\nkeys:{lines}",
        code="permission-needed",
    )


class _Confirmations:
    """What the user confirmed before: keys and hosts, for one study on one root."""

    def __init__(self, root: Storage, study: str) -> None:
        self._path = confirmations_path()
        where = str(Path(root.url).resolve()) if root.is_local else root.url
        self._scope = {"root": where, "study": study}
        self._entries = remembered(self._path, root)

    def has(self, use: KeyUse) -> bool:
        """Tell whether this was confirmed."""
        wanted = self._entry(use)
        return any(
            isinstance(entry, dict) and {**entry, "at": None} == {**wanted, "at": None}
            for entry in self._entries
        )

    def add(self, uses: list[KeyUse]) -> None:
        """Remember; where the home takes no file, the user is asked again next time."""
        if not uses:
            return
        added = ({**self._entry(use), "at": time.time()} for use in uses)
        remember(self._path, [*self._entries, *added])

    def _entry(self, use: KeyUse) -> dict[str, object]:
        return {**self._scope, "variable": use.variable, "host": use.host}
