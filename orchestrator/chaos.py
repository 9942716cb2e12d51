"""Faults that a launch injects on purpose (`--chaos`): read, kept in the root, told.

Only the option arms a launch, and only its own workers: an assignment names the folder of its
faults. The same words and seed are the same faults, each of them injected once on a root, so that
the same command resumes and ends.
"""

import argparse
import hashlib
import platform
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass

from cluster.chaos.drawing import read_plan
from cluster.chaos.fault import fault_names, find_fault
from cluster.chaos.injection import Injection
from cluster.chaos.injector import ChaosFolder, Injector
from cluster.errors import UserError
from cluster.storage import Storage
from jobs.artifacts.job import Job
from orchestrator.records.history import Journal
from orchestrator.records.injected import Injected

_OF_WHOLE_NODES = frozenset({"lost-node"})
"""Kinds that end what is not the launch's alone on a Ray that it joins."""
_FATAL = frozenset({"kill-coordinator", "torn"})
"""Kinds that kill the launch itself."""


@dataclass(frozen=True, kw_only=True)
class ChaosRequest:
    """What a user asks for."""

    words: str
    """The faults, as `--chaos` has them."""
    seed: int = 0
    """What is left to chance follows from it."""
    address: str | None = None
    """The Ray that is joined, on which others may work, too; None: none is."""

    def require_own(self) -> None:
        """Require that nothing of others is to be ended. Raises UserError."""
        names = {re.split("[=@:]", word.strip())[0] for word in self.words.split(",")}
        if self.address is not None and (not_ours := sorted(names & _OF_WHOLE_NODES)):
            raise UserError(
                f"{not_ours[0]} ends all that runs on a node, and others may work on the Ray at "
                f"{self.address}",
                where="--chaos",
                hint="try it where the launch starts a Ray of its own, without an address",
            )


def words_of_request(options: argparse.Namespace) -> Sequence[str]:
    """Return the words of a command line that ask for the same faults."""
    words = getattr(options, "chaos", None)
    return () if words is None else ("--chaos", words, "--chaos-seed", str(options.chaos_seed))


class Chaos:
    """The faults of one launch."""

    def __init__(self, storage: Storage, study: str, jobs: Sequence[Job], request: ChaosRequest):
        """Read what is asked for. Raises UserError; writes nothing."""
        request.require_own()
        keys, stages = [job.key for job in jobs], {job.stage for job in jobs}
        saving = [job.key for job in jobs if job.params.get("checkpoint_every")]
        self._read = read_plan(request.words, request.seed, keys, stages, saving=saving)
        named = hashlib.sha256(f"{request.words}\n{request.seed}".encode()).hexdigest()[:12]
        self.folder = ChaosFolder(storage, f"studies/{study}/chaos/{named}")
        self.words = f"{request.words} (seed {request.seed})"
        self._noted = set[int]()

    @contextmanager
    def armed(self) -> Iterator[list[str]]:
        """Keep the faults in the root, and arm this process while the block runs.

        Yields what the user has to know, in lines. Raises SurroundingsError.
        """
        plan = self.folder.keep(self._read)
        with Injector(folder=self.folder, who="launch", place={"node": platform.node()}).armed():
            yield self._notes(plan, self.folder.numbers())

    def _notes(self, plan: Sequence[Injection], struck: Set[int]) -> list[str]:
        left = [item for number, item in enumerate(plan, 1) if number not in struck]
        notes = [
            f"chaos: {len(left)} of {len(plan)} faults are still to be injected, on purpose: "
            f"--chaos {self.words}; listed in {self.folder.name}/plan.json"
        ]
        fatal = sum(item.name in _FATAL for item in left)
        if fatal:
            notes.append(f"chaos: {fatal} of them kill the launch itself; the same command goes on")
        return notes

    def note_injected(self, journal: Journal) -> list[str]:
        """Write into the ledger what was injected and is not there; return it in words.

        Also what a launch did not come to that was killed.
        """
        words, known = [], {(event.at, event.fault) for event in journal.past.injected}
        for number in sorted(self.folder.numbers() - self._noted):
            injected = self.folder.injected(number)
            self._noted.add(number)
            if injected is None or (injected.at, injected.fault) in known:
                continue
            place = injected.place
            journal.append(
                Injected(
                    at=injected.at,
                    fault=injected.fault,
                    key=_text(place.get("key")),
                    attempt=_text(place.get("attempt")),
                    place=dict(place),
                )
            )
            if "attempt" in place:  # of itself this process has told at once
                words.append(f"chaos: injected {injected.fault} into {_described(place)}")
        return words


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _described(place: Mapping[str, object]) -> str:
    rank = f", rank {place['rank']}" if place.get("rank") else ""
    step = f", step {place['step']}" if "step" in place else ""
    file = f" ({place['file']})" if "file" in place else ""
    return f"{place.get('job', 'the launch')}{rank}{step}, at {place.get('point')}{file}"


def describe_faults() -> list[str]:
    """Describe every kind of fault in a line, for `--chaos help`."""
    lines = []
    for name in fault_names():
        kind = find_fault(name)
        amount = f"={kind.AMOUNT:g} {kind.UNIT}" if kind.AMOUNT is not None else ""
        lines.append(f"{name + amount:26} {kind.HELP}; at {', '.join(kind.POINTS)}")
    return lines
