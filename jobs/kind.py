"""Contract: what a job kind provides. Kinds live in `kinds/`, one class per file, named after it.

A kind declares its params, its inputs and its resources, and runs. It never knows other jobs,
plans or Ray. Heavy libraries (torch, transformers, trl, pandas) are imported inside `run` and what
`run` calls, never at module level: planning a study imports every kind it names.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cluster.machine.resources import Resources
from jobs.door import Door
from jobs.params import Chooses as Chooses
from jobs.params import Names as Names
from jobs.params import Params as Params
from jobs.params import added as added
from jobs.params import data_path as data_path
from jobs.params import entries_named
from jobs.params import execution as execution
from jobs.params import model_source as model_source
from jobs.provenance import Leaves, Model, Results
from jobs.rehearsal import StandIns, least_of
from jobs.situation import Calibration as Calibration
from jobs.situation import Fit as Fit
from jobs.situation import Forecast as Forecast
from jobs.situation import Situation as Situation
from jobs.situation import Upstream as Upstream

if TYPE_CHECKING:
    from jobs.models.model_source import ModelSource
    from jobs.worker.work import Work


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input that a kind accepts."""

    kinds: frozenset[str]
    """Kinds of job that may stand here."""
    used_if_named: bool = False
    """True when params decide whether it is needed: given params whose `uses` names it, it is."""
    dispensable: bool = False
    """True when even those may be left without it, and their results say what is missing."""
    other_than: str | None = None
    """Input that it is held against: where both are one job, results say nothing."""

    @property
    def required(self) -> bool:
        """True when every job of the kind reads it."""
        return not (self.used_if_named or self.dispensable)


P = TypeVar("P", bound=Params)


class Kind(Generic[P]):
    """Parent of every kind. A hook that a kind does not define does what it says here."""

    VERSION: int
    """Raised whenever the same params and inputs would give other numbers."""
    INPUTS: Mapping[str, Input]
    """Inputs by name; empty where the kind has none, or gathers."""
    Params: type[P]
    """Its params; `model_dump()` of it, defaults written out, is what enters the key."""
    LEAVES: Leaves
    """What a job leaves behind and where that comes from; answers about preferences rest on it."""
    USES_TORCH: bool
    """True when `run` computes with torch, so that its threads are set before it starts."""
    GATHERS: bool = False
    """True when the kind takes all jobs of the stages under `gather` instead of `inputs`."""
    MEASURES: tuple[str, ...] = ()
    """Values that it writes to `measurements.parquet`, by name; `NAME` stands for `NAME_…` too.
    Jobs of a kind that names any can be gathered by `compare`."""
    HEADLINES: Mapping[str, int] = {}
    """Values that a table shows where none are named -> their place, as in `analysis.metric`."""
    LETS_GO: tuple[str, ...] | None = None
    """Patterns of names of the large files of its jobs, which `keep: until-read` lets go once they
    were read; what other jobs only look up (facts, measurements, curves) is none of them. None: the
    tensors of a kind that leaves a model or a store, else nothing."""
    REFERS: bool = False
    """True when what its jobs leave is opened from files of their inputs, and of theirs: who reads
    such a job reads these, too."""
    TELLS_STAGE: bool = False
    """True when stages may measure one model on other data each: rows then name theirs."""
    SWEEPS: tuple[str, ...] = ()
    """Axes that its jobs add to their measurements by themselves."""

    @property
    def large_files(self) -> tuple[str, ...]:
        """Patterns of names of the files that may be let go once they were read."""
        if self.LETS_GO is not None:
            return self.LETS_GO
        leaves_tensors = isinstance(self.LEAVES, Model) or self.LEAVES is Results.STORE
        return ("*.safetensors",) if leaves_tensors else ()

    def uses(self, params: P) -> frozenset[str]:
        """Return the names of the inputs that these params make it use; by default all."""
        return frozenset(self.INPUTS)

    def spares(self, params: P) -> frozenset[str]:
        """Return the inputs that it uses where they are given and can do without."""
        return frozenset(name for name, wanted in self.INPUTS.items() if wanted.dispensable)

    def gathered_kinds(self) -> frozenset[str]:
        """Return the kinds of job that it gathers; empty for one that does not gather."""
        return frozenset()

    def axes_named(self, params: P) -> Mapping[str, Sequence[str]]:
        """Return, of a kind that gathers: param -> axes in it, which what is gathered must have."""
        return {}

    def check_values(self, params: P, labels: Mapping[str, Sequence[str]]) -> None:
        """Raise ValueError where params name a value that `labels` of the study's axes lack."""

    def source(self, params: P) -> "ModelSource | None":
        """Return the model outside that these params name, whose revision or bytes are pinned."""
        return None

    def entries(self, params: P) -> Iterator[tuple[str, str]]:
        """Yield the entries that these params make it use: package of the door, name of the entry.

        Those of them that a study brings along are in the key by the digest of their code. By
        default what the params name that are marked with `Names`, at any depth.
        """
        return entries_named(params)

    def packages(self, params: P) -> frozenset[str]:
        """Return the doors, by their packages, of which these params make it use all entries."""
        return frozenset()

    def pins(self, params: P, known: Mapping[str, str]) -> Mapping[str, str]:
        """Return digests and revisions of outside data that these params name; the key holds them.

        By default those of `source`. Paths declared with `data_path` are digested by the planner
        and need no pin.

        Args:
            params: of the job.
            known: what launches resolved before (`hf://id@revision`) -> what it was.

        Raises:
            UserError: the data are not there, or `run` could not read them.
        """
        source = self.source(params)
        return {} if source is None else source.pins(known)

    def notes(self, params: P, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Return what the user should know before a job runs: what it will leave out, and why.

        Asked of jobs that a launch would run. What they read need not be done; what is not known
        yet is passed over.

        Args:
            params: of the job.
            inputs: what the plan knows of the jobs it reads.

        Raises:
            UserError: `run` would refuse what it is given.
        """
        return ()

    def resources(self, params: P) -> Resources:
        """Return what one job needs, or each of its workers where several share it.

        By default what the params `num_cpus`, `num_gpus` and `memory_gb` say, where it has them.
        """
        given = {name: getattr(params, name, None) for name in _RESOURCES}
        return Resources(**{name: value for name, value in given.items() if value is not None})

    def workers(self, params: P) -> int:
        """Return the most attempts that may share one job at a time.

        Each looks for what the others have finished; whoever finds nothing left to do takes all of
        it over and returns. The first record published is the artifact's.
        """
        return 1

    def pushes(self, params: P) -> bool:
        """Tell whether a job sends something to the hub: then it may ask it, and has the token."""
        return False

    def expected_bytes(self, params: P, inputs: Mapping[str, Upstream]) -> int | None:
        """Return the most bytes that a job will leave behind; None where that is not known."""
        return None

    def fit(self, params: P, at: Situation) -> Fit | None:
        """Choose how one job is to be done; None for a kind that takes what its params say.

        Args:
            params: of the job.
            at: what else decides.
        """
        return None

    def forecast(self, params: P, at: Situation) -> Forecast | None:
        """Say what one job takes of its GPUs; asked where it has any and the kind has no `fit`.

        None where that is not known, as before anything says which model it reads.

        Args:
            params: of the job.
            at: what else decides.
        """
        return None

    NOT_REHEARSED: str | None = None
    """Why a rehearsal leaves jobs of this kind out; None for a kind that it runs."""

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Return params with which a rehearsal does the same work in seconds on a processor.

        By default the same params for one process without GPUs.

        Args:
            written: params as the study writes them, which are valid.
            stand_ins: what stands in for models and data; nothing outside may be asked.
        """
        return {**written, **least_of(self.Params)}

    def memorising(self, written: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return params with which `run` must learn a few examples by heart; None: no training.

        Args:
            written: params as `in_small` returned them.
        """
        return None

    def not_memorised(self, read: Callable[[str], bytes]) -> str | None:
        """Say how a job with such params failed to learn; None where it did learn.

        Args:
            read: returns the content of a file that it left, by name.
        """
        return None

    def run(self, work: "Work[P]") -> dict[str, object]:
        """Do the job: write files into `work.folder`; return facts (small JSON) for the record.

        Raises:
            Stopped: the job was asked to stop and has saved what it had.
        """
        raise NotImplementedError

    def overrides(self, hook: Callable[..., object]) -> bool:
        """Tell whether this kind defines a hook (`Kind.fit`, `Kind.source`, …) of its own."""
        return getattr(type(self), hook.__name__) is not hook


KINDS: Door[Kind[Any]] = Door("kind", "jobs.kinds", contract=Kind)

_RESOURCES = ("num_cpus", "num_gpus", "memory_gb")
