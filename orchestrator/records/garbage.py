"""What can be deleted from a root: superseded artifacts, losing attempts, old checkpoints, caches.

Only what deltascale can prove that it made, and no launched study of the root refers to, or a
finished job no longer needs. The rest is left, and named. Listing changes nothing; the user asks
for deletion.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from cluster.checked_json import parse_json
from cluster.disk.disk_faults import ForeignEntry
from cluster.storage import Storage
from cluster.survey import Survey
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.claim import free_of_attempts
from jobs.artifacts.identity import KEY_LENGTH
from jobs.kind import KINDS
from jobs.worker.attempt_folder import KEPT, PRIVATE, is_private
from orchestrator.records.planned_jobs import keys_in_plans, kinds_in_plans, studies_of
from orchestrator.records.root_file import require_root

_CACHES = ("base_rows",)
"""Folders of `cache/` that jobs fill and know how to fill again."""
_SPENT = tuple(name for name in PRIVATE if name not in KEPT)
_DESCRIBED = ("record.json", "job.json")
"""What says that a folder is the artifact of a job, the record first: it goes first."""
_OWN = frozenset({*_DESCRIBED, "claim", "attempts"})
_KEY16 = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
_ATTEMPT = re.compile(r"[\w-]+-\d{6,}")
"""Id of an attempt: of its launch, and a number."""
_CACHED = re.compile(r"facts\.json|[\w.-]+/[\w.-]+\.(safetensors|json)")
"""Files of a cache: facts of all of it, and shards and markers of its units."""
_UNFINISHED_FOR_S = 24 * 3600.0
"""A write that was not finished for a day was killed."""


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """One file or folder that can be deleted."""

    name: str
    """File or folder, relative to the root."""
    why: str
    """Why nothing needs it any more."""
    bytes: int
    """Size in bytes."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """One file or folder that stays, although no study needs it."""

    name: str
    """File or folder, relative to the root."""
    why: str
    """Why it stays."""


class Collector:
    """Finds what can be deleted from a root, and what lies there that is none of ours."""

    def __init__(self, root: Storage) -> None:
        self.root = root
        self.left: list[Left] = []

    def find(self) -> Iterator[Garbage]:
        """Yield unfinished writes, caches, then artifacts and parts of them in order of name.

        While an item is looked at, no attempt can begin at its job, so it may be deleted right
        away. In a root with no launched study nothing of `artifacts/` is yielded: what is
        superseded is not known.

        Raises:
            UserError: this is no root of ours.
            SurroundingsError: the plan of a study cannot be read, so what it needs is not known.
        """
        require_root(self.root)
        self.left.clear()
        wanted = keys_in_plans(self.root)
        yield from self._unfinished("", self.root.survey_top())
        for folder in ("revisions", *(f"studies/{study}" for study in studies_of(self.root))):
            yield from self._unfinished(f"{folder}/", self._surveyed(folder) or Survey())
        yield from self._caches()
        if not wanted:
            return
        kinds = set(KINDS.names()) | kinds_in_plans(self.root)
        for kind in self.root.list("artifacts"):
            if kind not in kinds:
                self._leave(f"artifacts/{kind}")
                continue
            for key16 in self._inside(f"artifacts/{kind}"):
                yield from self._at_artifact(kind, key16, wanted.get(key16))

    def remove(self, item: Garbage) -> None:
        """Delete an item; of an artifact the record first, so that half of one is never done."""
        if item.name.count("/") == 2:
            self.root.remove(f"{item.name}/{_DESCRIBED[0]}")
        self.root.remove(item.name)

    def _inside(self, folder: str) -> list[str]:
        """List a folder; one that is a link is left, and holds nothing."""
        try:
            return self.root.list(folder)
        except ForeignEntry:
            self._leave(folder)
            return []

    def _leave(self, name: str, why: str = "not ours") -> None:
        self.left.append(Left(name=name, why=why))

    def _unfinished(self, folder: str, survey: Survey) -> Iterator[Garbage]:
        for name, unfinished in sorted(survey.unfinished.items()):
            if unfinished.age_s > _UNFINISHED_FOR_S:
                yield Garbage(
                    name=folder + name, why="a write that was killed", bytes=unfinished.bytes
                )

    def _caches(self) -> Iterator[Garbage]:
        for cache in self._inside("cache"):
            if cache not in _CACHES:
                self._leave(f"cache/{cache}")
                continue
            for name in self._inside(f"cache/{cache}"):
                folder = f"cache/{cache}/{name}"
                if not _KEY16.fullmatch(name):
                    self._leave(folder)
                    continue
                survey = self._surveyed(folder)
                if survey is not None:
                    why = "a cache: made again when needed"
                    unknown = {file for file in survey.sizes if not _CACHED.fullmatch(file)}
                    foreign = sorted({*survey.odd, *(unknown - survey.unfinished.keys())})
                    yield from self._whole(folder, survey, why, foreign=foreign)

    def _surveyed(self, folder: str) -> Survey | None:
        """Survey a folder; None, and left, when it is no folder."""
        try:
            if self.root.size(folder) is None:
                return self.root.survey(folder)
        except ForeignEntry:
            pass
        self._leave(folder)
        return None

    def _whole(
        self, folder: str, survey: Survey, why: str, *, foreign: Sequence[str]
    ) -> Iterator[Garbage]:
        """Yield a folder; where something foreign is in it, our files one by one.

        Args:
            folder: The folder, relative to the root.
            survey: What is in it.
            why: Why it can go.
            foreign: Names inside the folder that stay.
        """
        if not foreign:
            yield Garbage(name=folder, why=why, bytes=sum(survey.sizes.values()))
            return
        for name in foreign:
            self._leave(f"{folder}/{name}")
        for name, size in sorted(survey.sizes.items()):
            if not any(_is_in(name, entry) for entry in foreign):
                yield Garbage(name=f"{folder}/{name}", why=why, bytes=size)

    def _at_artifact(self, kind: str, key16: str, key: str | None) -> Iterator[Garbage]:
        """Yield what can go of one folder in `artifacts/`; `key` is what a study asks for there."""
        folder = f"artifacts/{kind}/{key16}"
        if not _KEY16.fullmatch(key16):
            self._leave(folder)
            return
        try:
            survey = self.root.survey(folder)
        except ForeignEntry:
            survey = Survey()  # a link
        described = [name for name in _DESCRIBED if name in survey.sizes]
        if not described:
            self._leave(folder)
            return
        artifact = Artifact(self.root, kind, key or key16)
        with (
            free_of_attempts(artifact) if "claim" in survey.sizes else nullcontext(True) as is_free
        ):
            if not is_free:
                self._leave(folder, "an attempt is at work there")
                return
            record = _record_in(self.root, folder, survey, kind)
            if key is None and record is None and _is_copied(self.root, folder, described, kind):
                self._leave(folder)
                return
            yield from self._unfinished(f"{folder}/", survey)
            foreign = _foreign(survey, record)
            if key is None:
                why = "no launched study asks for this key any more"
                yield from self._whole(folder, survey, why, foreign=foreign)
                return
            for name in foreign:
                self._leave(f"{folder}/{name}")
            if record is not None and record.key == key:
                yield from self._spent(folder, survey, record, foreign)

    def _spent(
        self, folder: str, survey: Survey, record: Record, foreign: Sequence[str]
    ) -> Iterator[Garbage]:
        """Yield what a finished job no longer needs: attempts that did not win, checkpoints."""
        inside: dict[str, set[str]] = {}
        for name in (*survey.sizes, *(f"{name}/" for name in survey.empty)):
            top, _, rest = name.partition("/")
            attempt, is_folder, rest = rest.partition("/")
            if top == "attempts" and is_folder:
                inside.setdefault(attempt, set()).add(rest.partition("/")[0])
        for attempt in sorted(inside):
            place = f"attempts/{attempt}"
            if attempt != record.attempt:
                if record.let_go is not None and attempt not in record.let_go.attempts:
                    why = "it began to make again what was let go; the next launch goes on from it"
                    self._leave(f"{folder}/{place}", why)
                    continue
                yield from self._part(folder, place, survey, foreign, "an attempt that did not win")
                continue
            for name in record.let_go.files if record.let_go else ():
                if (size := survey.sizes.get(f"{place}/{name}")) is not None:
                    why = "let go: all that read it were done"
                    yield Garbage(name=f"{folder}/{place}/{name}", why=why, bytes=size)
            for name in sorted(inside[attempt].intersection(_SPENT)):
                why = "spent: the job is done"
                yield from self._part(folder, f"{place}/{name}", survey, foreign, why)

    def _part(
        self, folder: str, part: str, survey: Survey, foreign: Sequence[str], why: str
    ) -> Iterator[Garbage]:
        """Yield a part of an artifact whole, or our files in it where something foreign is."""
        ours = {file: size for file, size in survey.sizes.items() if _is_in(file, part)}
        if not any(_is_in(name, part) for name in foreign):
            yield Garbage(name=f"{folder}/{part}", why=why, bytes=sum(ours.values()))
            return
        for file, size in sorted(ours.items()):
            if not any(_is_in(file, entry) for entry in foreign):
                yield Garbage(name=f"{folder}/{file}", why=why, bytes=size)


def _is_in(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}/")


def _is_copied(root: Storage, folder: str, described: Sequence[str], kind: str) -> bool:
    """Tell whether a folder speaks of another job than its name: somebody copied it there.

    A request or record that cannot be read is damaged, and ours all the same.
    """
    try:
        written = parse_json(root.read(f"{folder}/{described[-1]}"))
    except (ValueError, FileNotFoundError):
        return False
    if not isinstance(written, dict):
        return False
    key16 = folder.rsplit("/", 1)[-1]
    is_of_job = str(written.get("key", key16)).startswith(key16)
    return not is_of_job or written.get("kind", kind) != kind


def _foreign(survey: Survey, record: Record | None) -> list[str]:
    """List the names in an artifact that no attempt of ours can have made."""
    tops = {name.split("/", 1)[0] for name in survey.empty}
    foreign = {*survey.odd, *(tops - _OWN)}
    winner = record.attempt if record is not None else None
    for name in (*survey.sizes, *survey.empty):
        top, *rest = name.split("/", 2)
        is_attempt = top == "attempts" and rest and rest[0] != winner
        if is_attempt and not _ATTEMPT.fullmatch(rest[0]):
            foreign.add(f"attempts/{rest[0]}")
    for name in survey.sizes:
        top, *rest = name.split("/", 2)
        if top not in _OWN:
            foreign.add(top)
        elif len(rest) != (2 if top == "attempts" else 0):
            foreign.add(name)  # a file among the attempts, a folder where a file belongs
        elif record is not None and rest and _is_unlisted(rest[0], rest[1], record):
            foreign.add(name)
    return sorted(foreign)


def _is_unlisted(attempt: str, name: str, record: Record) -> bool:
    """Tell whether a file in the attempt that won is one that no attempt of ours wrote."""
    return attempt == record.attempt and name not in record.files and not is_private(name)


def _record_in(root: Storage, folder: str, survey: Survey, kind: str) -> Record | None:
    """Return the valid record of an artifact, its files checked against the survey."""
    if "record.json" not in survey.sizes:
        return None
    try:
        record = Record.from_json(root.read(f"{folder}/record.json"))
    except (ValueError, FileNotFoundError):
        return None
    place = f"attempts/{record.attempt}"
    is_whole = all(
        survey.sizes.get(f"{place}/{name}") == entry.bytes
        for name, entry in record.standing.items()
    )
    is_of_job = record.kind == kind and record.key.startswith(folder.rsplit("/", 1)[-1])
    return record if is_whole and is_of_job else None
