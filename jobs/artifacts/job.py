"""`Job`: one piece of work, frozen. Its key is made here from what it is, never typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from cluster.machine.resources import Resources
from jobs.artifacts.identity import KEY_LENGTH, key_of

if TYPE_CHECKING:
    from pydantic import BaseModel

P = TypeVar("P", bound="BaseModel")

OWN_CODE = "entries/"
"""Start of the name of a pin that is the digest of a file of a study's own entries."""
Cell = Mapping[str, str]
"""A point of the grid: axis name -> the name of the value there."""
Scalar = int | float | bool | str | None
"""A JSON scalar."""
AxisValues = Mapping[str, Scalar]
"""The same point, typed: axis name -> the value as the study wrote it; of a mapping, its name."""


@dataclass(frozen=True, kw_only=True)
class InputRef:
    """One upstream job that a job reads."""

    kind: str
    """Kind of the upstream job."""
    key: str
    """Its key."""
    stage: str
    """Its stage in the study that asked."""
    cell: Cell
    """Its cell. Part of a gathering job's identity, because its table names it."""
    values: AxisValues = field(default_factory=dict)
    """The typed values behind the cell; never identity. Empty where they are not known."""

    def to_json(self, *, with_values: bool) -> dict[str, Any]:
        """Write the reference as `job.json` and assignments hold it."""
        written = {"kind": self.kind, "key": self.key, "stage": self.stage, "cell": {**self.cell}}
        return {**written, "values": {**self.values}} if with_values else written


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done, and nothing about who does it or when.

    Identity: kind, version, params (less execution and paths), pins, inputs that are used.
    Execution: the rest.
    """

    kind: str
    """Name of the kind, as in the study file."""
    version: int
    """Version of the kind's meaning; a raised one makes new keys."""
    params: Mapping[str, Any]
    """All params as JSON, defaults written out, paths resolved."""
    identity_params: Mapping[str, Any]
    """The params that change a number: without execution settings, paths as their digests."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """Digests and revisions of outside data, as the kind's `pins` gave them."""
    inputs: Mapping[str, Sequence[InputRef]] = field(default_factory=dict)
    """Input name -> upstream jobs; one each, or many where the job gathers."""
    used: frozenset[str] = frozenset()
    """Names of the inputs that these params make it use; others do not enter the key."""
    gathers: bool = False
    """True when the inputs' cells are part of the identity."""
    stage: str
    """Stage of the study that asked."""
    cell: Cell = field(default_factory=dict)
    """Where in the grid."""
    axis_values: AxisValues = field(default_factory=dict)
    """The typed values behind the cell; never identity."""
    validated: "BaseModel | None" = field(default=None, compare=False, repr=False)
    """The params as the planner validated them; never identity, and never sent to a worker."""
    resources: Resources = field(default_factory=Resources)
    """What it needs of a machine; each of its workers, where several share it."""
    workers: int = 1
    """Most attempts that may share it at a time."""
    own_code: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The entries of the study's own that it needs, as its assignment carries them; their digests
    are in the key, by its pins or those of what it reads."""

    def params_as(self, model: "type[P]") -> "P":
        """Return the params as `model`: as the planner validated them, or else validated now."""
        return self.validated if isinstance(self.validated, model) else model(**self.params)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that makes this job this job, as canonical JSON can hold it."""
        return {
            "kind": self.kind,
            "version": self.version,
            "params": dict(self.identity_params),
            "pins": dict(self.pins),
            "inputs": {
                name: [
                    {"key": ref.key, "stage": ref.stage, "cell": dict(ref.cell)}
                    if self.gathers
                    else ref.key
                    for ref in self.inputs[name]
                ]
                for name in sorted(self.inputs)
                if name in self.used
            },
        }

    @cached_property
    def key(self) -> str:
        """64 hex digits, equal for equal work in every process."""
        return key_of(self.identity)

    @property
    def key16(self) -> str:
        """The part of the key that names its folder."""
        return self.key[:KEY_LENGTH]

    @property
    def folder(self) -> str:
        """Name of its artifact's folder, relative to the root."""
        return artifact_folder(self.kind, self.key)

    @property
    def label(self) -> str:
        """How people read it: `stage[axis=value,…]`."""
        return label_of_cell(self.stage, self.cell)


def label_of_cell(stage: str, cell: Cell) -> str:
    """Return `stage[axis=value,…]`, or the stage of a job without axes."""
    inside = ",".join(f"{axis}={value}" for axis, value in cell.items())
    return f"{stage}[{inside}]" if inside else stage


def artifact_folder(kind: str, key: str) -> str:
    """`artifacts/<kind>/<key16>`, relative to the root."""
    return f"artifacts/{kind}/{key[:KEY_LENGTH]}"
