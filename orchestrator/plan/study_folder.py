"""`studies/<study>/` under the root: the study as launched last, its plan, and its index.

The index (cell -> key) lets the next plan say what changed; nothing here says what is done.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import damaged_file, read_as, read_file
from cluster.errors import UserError, unknown_name
from cluster.locks.held import Held, LockLost
from cluster.storage import Storage
from jobs.artifacts.job import Cell
from orchestrator.plan.own_code import write_entries
from orchestrator.plan.plan import Plan
from orchestrator.plan.prepared import read_params, write_params
from orchestrator.plan.retention import retention_of
from orchestrator.records.launched_studies import known_studies
from orchestrator.study.study import Study, study_of
from orchestrator.study.study_file import parse_study_file


class PlanDocument(TypedDict):
    """A plan as JSON; what is not known is null."""

    study: str
    """Name of the study."""
    launch: NotRequired[str]
    """Id of the launch that wrote it down under the study's lock; in `plan.json`."""
    left_out: NotRequired[list[str]]
    """Keys of jobs that this launch is not to run (`--only`); in `plan.json`."""
    jobs: list[dict[str, object]]
    """Every job with its decision, in the plan's order."""
    totals: dict[str, Any]
    """Numbers of jobs by decision; GPUs, hours and bytes of all that would run."""
    absent: list[str]
    """Files and folders of the user's data that are not here, and leave keys open."""
    whence: NotRequired[dict[str, str]]
    """File or folder that is not here -> where the study says that it is to be had."""
    entries: NotRequired[dict[str, str]]
    """File of each entry that the study brings along -> SHA-256; in `plan --json`."""
    allocations: NotRequired[list[dict[str, Any]]]
    """What a launch would ask a queue for, in order; with a profile in `plan --json`."""
    costs: NotRequired[dict[str, Any]]
    """GPU-hours and money by stage on the profile planned for; in `plan --on --json`."""
    notes: NotRequired[list[str]]
    """What the user should look at, each with file and line; in `plan --json`."""


class _Entry(TypedDict):
    """A job in the index."""

    cell: Cell
    """Its cell."""
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]
    """Its key."""
    kind: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")]
    """Its kind."""
    reads: NotRequired[list[str]]
    """Keys of what it reads that is let go once it was read."""


class _Index(TypedDict):
    """The index as written to `index.json`."""

    study: str
    """Name of the study."""
    file: str
    """Name of its file, for messages."""
    folder: str
    """Folder that its relative paths start at."""
    stages: dict[str, list[_Entry]]
    """Stage -> its jobs."""
    token: NotRequired[Annotated[int, Field(ge=0, lt=90_000_000)]]
    """Number of the holding of the study's lock under which it was written; older ones lack it."""
    until_read: NotRequired[list[str]]
    """Keys of the jobs whose large files go once they were read; absent where all are kept."""


_INDEX = TypeAdapter(_Index)
_FILES = ("study.yaml", "params.json", "plan.json", "index.json")

CellKey = tuple[str, frozenset[tuple[str, str]]]
"""Stage and cell of a job."""


def write_study(
    root: Storage, plan: Plan, document: PlanDocument, held: Held | None = None
) -> None:
    """Write `study.yaml`, `params.json`, `plan.json` and `index.json`, the index last.

    Args:
        root: The output root.
        plan: What is written.
        document: The same for other programs.
        held: The study's lock in hand; None where no launch can be.

    Raises:
        LockLost: another launch has the lock, or has written a plan since we took it.
    """
    held, folder = held or Held(), f"studies/{plan.study.name}"
    held.confirm()
    if written_token(root, plan.study.name) > held.token > 0:
        raise LockLost("a later launch has written its plan", where=f"{root.url}/{folder}")
    for name in _FILES:
        _make_way(root, f"{folder}/{name}")
    root.write(f"{folder}/study.yaml", plan.study.file.text.encode())
    write_params(root, plan.study, plan.prepared)
    write_entries(root, plan.study, plan.own)
    root.write(f"{folder}/plan.json", document_text(document).encode())
    root.write(f"{folder}/index.json", _index_text(plan, held.token).encode())


def is_written(root: Storage, plan: Plan) -> bool:
    """Tell whether what `write_study` wrote last is this plan, of this file, and whole."""
    study, text = plan.study, b""
    with suppress(ValueError):
        text = read_file(root, f"studies/{study.name}/study.yaml") or b""
    planned = {cell_key(job.stage, job.cell): job.key for job in plan.jobs}
    return (
        text == study.file.text.encode()
        and (place := launched_from(root, study.name)) is not None
        and place.parent == study.folder
        and read_index(root, study.name) == planned
        and read_params(root, study) is not None
    )


def _make_way(root: Storage, name: str) -> None:
    """Move a folder away that somebody put where a file of ours belongs."""
    try:
        read_file(root, name)
    except ValueError:
        root.move(name, f"aside/{uuid.uuid4().hex[:8]}/{name}")


def written_token(root: Storage, study: str) -> int:
    """Return the token of the lock under which the index was written; 0 where there is none."""
    try:
        index = _read_index(root, study)
    except ValueError:
        index = None
    return index.get("token", 0) if index else 0


def read_index(root: Storage, study: str) -> Mapping[CellKey, str]:
    """Return stage and cell -> key, as planned at the last launch; empty when there was none."""
    return {
        cell_key(stage, entry["cell"]): entry["key"]
        for stage, entries in _indexed_stages(root, study).items()
        for entry in entries
    }


def launched_from(root: Storage, study: str) -> Path | None:
    """Return where the file lay that a study was launched from last; None where that is unknown."""
    with suppress(ValueError):
        index = _read_index(root, study)
        return Path(index["folder"], Path(index["file"]).name) if index else None
    return None


def launched_jobs(root: Storage, study: str) -> dict[str, list[tuple[Cell, str, str]]]:
    """Return stage -> cell, kind and key of each of its jobs, as planned at the last launch."""
    return {
        stage: [(entry["cell"], entry["kind"], entry["key"]) for entry in entries]
        for stage, entries in _indexed_stages(root, study).items()
    }


def cell_key(stage: str, cell: Cell) -> CellKey:
    """Return stage and cell in a hashable form that does not depend on the order of axes."""
    return stage, frozenset(cell.items())


def open_study(root: Storage, name: str) -> Study:
    """Open a study known in the root as it was launched last; paths resolve as they did then."""
    known = known_studies(root)
    if name not in known:
        raise unknown_name("study", name, known, where=root.url)
    place = f"studies/{name}/study.yaml"
    hint = "launch the study's own file, which writes it again"
    try:
        index = _read_index(root, name)
        if index is None:
            raise ValueError("it is missing")
    except ValueError as reason:
        raise damaged_file(root, _index_name(name), reason, hint) from None
    try:
        text = (read_file(root, place) or b"").decode()
        study = study_of(parse_study_file(text, index["file"]), Path(index["folder"]))
    except ValueError as reason:
        raise damaged_file(root, place, reason, hint) from None
    except UserError as fault:  # it was read when it was written
        hint = f"another version of deltascale may have written it, or somebody edited it: {hint}"
        raise damaged_file(root, place, f"{fault.error} ({fault.where})", hint) from None
    return replace(study, recorded_in=root.url)


def document_text(document: PlanDocument) -> str:
    """Write the document of a plan as JSON, one job a line."""
    head = {name: value for name, value in document.items() if name != "jobs"}
    jobs = _lines(document["jobs"], " ")
    return f'{json.dumps(head, indent=1)[:-2]},\n "jobs": {jobs}\n}}\n'


def _index_name(study: str) -> str:
    return f"studies/{study}/index.json"


def _read_index(root: Storage, study: str) -> _Index | None:
    """Read the index; None where there is none. Raises ValueError where it is damaged."""
    return read_as(root, _index_name(study), _INDEX)


def _indexed_stages(root: Storage, study: str) -> dict[str, list[_Entry]]:
    try:
        index = _read_index(root, study)
    except ValueError:  # as if the study had never been launched: the next launch writes it
        index = None
    return {} if index is None else index["stages"]


def _index_text(plan: Plan, token: int) -> str:
    stages, retention = [], retention_of(plan)
    for stage, jobs in plan.stages.items():
        entries = (
            {"cell": job.cell, "key": job.key, "kind": job.kind}
            | ({"reads": sorted(reads)} if (reads := retention.reads.get(job.key)) else {})
            for job in jobs
        )
        stages.append(f"  {json.dumps(stage)}: {_lines(entries, '  ')}")
    head: dict[str, Any] = {
        "study": plan.study.name,
        "file": plan.study.file.name,
        "folder": str(plan.study.folder),
        "token": token,
    }
    if retention.readers:
        head["until_read"] = sorted(retention.readers)
    return json.dumps(head, indent=1)[:-2] + ',\n "stages": {\n' + ",\n".join(stages) + "\n }\n}\n"


def _lines(items: Iterable[object], margin: str) -> str:
    lines = [f"{margin} {json.dumps(item)}" for item in items]
    return "[\n" + ",\n".join(lines) + f"\n{margin}]" if lines else "[]"
