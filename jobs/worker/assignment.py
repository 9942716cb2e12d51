"""`Assignment`: one attempt at one job, as a worker is handed it. It crosses processes as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from cluster.disk.temp_folders import private_base
from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import AxisValues, InputRef
from jobs.mirror.run_name import RunName

VERSION = 1
"""Version of the JSON; both sides must agree on it."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a worker must know to make one attempt at one job."""

    root: str
    """URL of the output root."""
    root_id: str
    """Identity of the root, for mirrors that many roots share."""
    study: str
    """Name of the study that asked."""
    kind: str
    """Kind of the job."""
    key: str
    """Key of the job."""
    label: str
    """How people read the job: `stage[axis=value,…]`."""
    identity_params: Mapping[str, Any]
    """Params as they enter the key: no execution settings, digests for paths. Mirrors show them."""
    own_params: Mapping[str, Any]
    """The params that are no part of the key, and those that stand there in another form."""
    pins: Mapping[str, str]
    """What the kind's `pins` gave when the job was planned."""
    inputs: Mapping[str, Sequence[InputRef]]
    """Input name -> upstream jobs; only those that the params make the job use."""
    attempt: str
    """Id of the attempt."""
    worker: int
    """Number of this worker among those that share the job, from 0."""
    num_workers: int
    """Most workers that share the job."""
    threads: int
    """Compute threads to run with."""
    commit: str | None
    """Commit of the code that planned the job; None when unknown."""
    mirror_folder: str
    """Local folder for W&B's own files; empty for one of the worker's machine."""
    stage: str = ""
    """Stage of the study that asked; mirrors show it."""
    axis_values: AxisValues = field(default_factory=dict)
    """Axis name -> the value as the study wrote it; mirrors show them."""
    visible_within_s: float = 0.0
    """How long an input's record may be hidden where several machines share a file system."""
    own_code: Mapping[str, Any] = field(default_factory=dict)
    """The entries of the study's own that the job needs, as text: a worker takes no code from a
    root."""
    is_root_marked: bool = False
    """True where the root holds its `root.json`: without it, its file system is not mounted."""
    peak_memory_gb: float = 0.0
    """Most memory of each GPU, or of each process without one, that the plan expects; 0: not
    known."""
    chaos: str = ""
    """Folder of the root with the faults to inject on purpose; empty: none."""
    is_hub_offline: bool = False
    """True where the root holds what is needed of the hub, and nobody asks the hub."""

    @property
    def params(self) -> Mapping[str, Any]:
        """All params of the job, as its kind validates them."""
        return {**self.identity_params, **self.own_params}

    @cached_property
    def artifact(self) -> Artifact:
        """What the job leaves behind."""
        return Artifact(_storage(self.root), self.kind, self.key)

    @property
    def run_name(self) -> RunName:
        """Where the job's run stands in the mirror."""
        return RunName(
            root_id=self.root_id,
            key=self.key,
            study=self.study,
            kind=self.kind,
            label=self.label,
            folder=self.mirror_folder or str(private_base() / f"wandb-{self.root_id}"),
            config={**self.identity_params, **self.axis_values, **self._place},
            tags=[self.study, self.stage, self.kind],
            root=self.root,
            launch=self.attempt.rpartition("-")[0],
        )

    @property
    def _place(self) -> Mapping[str, str]:
        """Where the job stands, by which runs of a mirror are grouped and found again."""
        return {
            "stage": self.stage,
            "kind": self.kind,
            "key": self.key,
            "study": self.study,
            "root": self.root_id,
        }

    def to_json(self) -> str:
        """Write the assignment for another process."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps({"version": VERSION, **fields}, default=asdict)

    @classmethod
    def from_json(cls, text: str) -> "Assignment":
        """Read what `to_json` wrote.

        Raises:
            SurroundingsError: another version of this code wrote it.
            TypeError: a field is missing.
        """
        written = json.loads(text)
        check_version(written.pop("version", None), VERSION, "assignment")
        inputs = {
            name: [InputRef(**ref) for ref in refs] for name, refs in written["inputs"].items()
        }
        return cls(**{**written, "inputs": inputs})


def _storage(root: str) -> Storage:
    """Return the root; a remote one anew for each attempt, with the credentials that it has."""
    return Storage(root) if "://" in root else _folder(root)


@lru_cache(maxsize=4)
def _folder(root: str) -> Storage:
    return Storage(root)


def check_version(written: object, expected: int, what: str) -> None:
    """Refuse JSON of another version.

    Raises:
        SurroundingsError: the versions differ.
    """
    if written != expected:
        raise SurroundingsError(
            f"this process reads {what}s of version {expected}, and was given version {written}",
            hint="a launch and its workers must run the same version of deltascale",
        )
