"""Files of ours under a root, beside artifacts, that are not as we write them.

Every verb passes over them, or names the one that it cannot do without; here all are named.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cluster.checked_json import read_file
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.artifacts.request import read_request
from orchestrator.records.ledger import ledger_folder
from orchestrator.records.ledger_lines import damaged_lines, kept_lines
from orchestrator.records.root_file import check_root_file


@dataclass(frozen=True, kw_only=True)
class DamagedFile:
    """A file of ours that is not as we write it, or a line of one."""

    name: str
    """The file, relative to the root."""
    reason: str
    """What is wrong, in one line."""
    line: int | None = None
    """The damaged line, from 1; None where the whole file is."""
    job: Job | None = None
    """The job whose request it is; None for other files."""

    @property
    def place(self) -> str:
        """The file, and the line where one is damaged."""
        return f"{self.name}:{self.line}" if self.line else self.name


def find_damaged_files(root: Storage, study: str, jobs: Sequence[Job]) -> Iterator[DamagedFile]:
    """Yield the damaged files of a study and of its root: ledger, requests, what a launch wrote.

    Args:
        root: the output root.
        study: name of the study.
        jobs: its jobs; the request of each is read.
    """
    checks: dict[str, Callable[[Storage], object]] = {"root.json": check_root_file}
    checks[f"studies/{study}/study.yaml"] = lambda _: (
        read_file(root, f"studies/{study}/study.yaml") or b""
    ).decode()
    for name, check in checks.items():
        if (reason := _reason(check, root)) is not None:
            yield DamagedFile(name=name, reason=reason)
    for name, line, reason in damaged_lines(root, study):
        yield DamagedFile(name=name, reason=reason, line=line or None)
    for job in jobs:
        name = f"{job.folder}/job.json"
        reason = _reason(lambda _, name=name: read_request(root, name), root)  # type: ignore[misc]
        if reason is not None:
            yield DamagedFile(name=name, reason=reason, job=job)


def mend_files(root: Storage, study: str, damaged: Sequence[DamagedFile], *, aside: str) -> None:
    """Move damaged files aside, and write again the lines of the ledger that are whole.

    Args:
        root: the output root, whose lock for the study is held.
        study: name of the study.
        damaged: what was found; `root.json` stays, because it tells which root this is.
        aside: folder under the root that the files are moved to.
    """
    folder = f"{ledger_folder(study)}/"
    for name in dict.fromkeys(file.name for file in damaged if file.name != "root.json"):
        whole = kept_lines(root, name) if name.startswith(folder) else None
        root.move(name, f"{aside}/{name}")
        if whole:
            root.write(name, whole)


def _reason(check: Callable[[Storage], object], root: Storage) -> str | None:
    try:
        check(root)
    except ValueError as reason:
        return str(reason)
    return None
