"""Contract: what a job kind provides. Kinds live in `kinds/`, one module per file.

A kind declares its params, its inputs and its resources, and runs. It never knows other jobs,
plans or Ray. Heavy libraries (torch, transformers, trl, pandas) are imported inside `run` and what
`run` calls, never at module level: planning a study imports every kind it names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from cluster.resources import Resources

if TYPE_CHECKING:
    from jobs.worker.work import Work


class Params(BaseModel):
    """Parent of every kind's params: frozen, and a wrong name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def execution(default: Any, description: str, **limits: Any) -> Any:
    """A param that says how work is done and never what it is: it does not enter the key."""
    return Field(default, description=description, json_schema_extra={"execution": True}, **limits)


def data_path(default: Any, description: str, **limits: Any) -> Any:
    """A param that names a file or folder: the key holds the digest of its bytes, not its path.

    Relative paths resolve against the study file before the job is made.
    """
    return Field(default, description=description, json_schema_extra={"path": True}, **limits)


def model_source(default: Any, description: str, **limits: Any) -> Any:
    """A param that names a model: `hf://org/name`, or a folder, which the kind's pins digest.

    A relative folder resolves against the study file. A folder does not enter the key (its pin
    stands for it); an `hf://` source does, beside the pin of its revision. A param that
    chooses an entry of a folder with its settings (mark `settings_of`) heeds that entry's marks.
    """
    return Field(
        default, description=description, json_schema_extra={"model_source": True}, **limits
    )


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input that a kind accepts."""

    kinds: frozenset[str]
    """Kinds of job that may stand here."""
    required: bool = True
    """False when params decide whether it is needed: given params whose `uses` names it, it is."""
    dispensable: bool = False
    """True when even those may be left without it, and their results say what is missing."""


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """What a plan knows of a job that another one reads."""

    kind: str
    """Its kind."""
    params: Mapping[str, Any]
    """Its params as JSON, defaults written out."""
    facts: Mapping[str, Any] | None
    """The facts in its record; None when it is not done."""
    files: Mapping[str, int]
    """Name -> bytes of the files it left; empty when it is not done."""
    inputs: Mapping[str, "Upstream"]
    """What it reads itself, the first job under each name."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How one job is to be done on the machines at hand: execution, never identity."""

    resources: Resources
    """What it needs of them; what it would need at least, where none of them can hold it."""
    execution: Mapping[str, Any]
    """Execution params, by name, in place of what the study gives; empty when refused."""
    peak_memory_gb: float | None = None
    """Most memory it is expected to take, in 10^9 bytes: of each GPU, or of each process without
    one; None where that is not known."""
    hours: float | None = None
    """Wall time it is expected to take; None where that is not known."""
    why: str = ""
    """One line: what decided it."""
    refusal: str | None = None
    """Why no machine can hold it; None when one can."""


class Kind(Protocol):
    """The names a module in `kinds/` defines."""

    VERSION: int
    """Raised whenever the same params and inputs would give other numbers."""
    INPUTS: Mapping[str, Input]
    """Inputs by name. Empty with GATHERS for a kind that takes all jobs of the stages it names."""
    GATHERS: bool
    """True when the kind takes `gather` instead of `inputs`."""
    USES_TORCH: bool
    """True when `run` computes with torch, so that its threads are set before it starts."""
    Params: type[Params]
    """Its params; `model_dump()` of it, defaults written out, is what enters the key."""

    def uses(self, params: Any) -> frozenset[str]:
        """Names of the inputs that these params make it use."""

    def pins(self, params: Any, known: Mapping[str, str]) -> Mapping[str, str]:
        """Digests and revisions of outside data that these params name; they enter the key.

        `known` maps what a launch has resolved before (`hf://id@revision`) to what it was.
        Data paths declared with `data_path` are digested by the planner: no need to repeat them.
        """

    def resources(self, params: Any) -> Resources:
        """What one such job needs; each of its workers, where several share it."""

    # Seven more names are optional: `measuring_kinds` (comparing/), the planner, `spares_of`,
    # `workers_of`, `expected_bytes_of` and `fit_of` ask for them.
    # - MEASURES: tuple[str, ...]: the kind writes `measurements.parquet`; names of the values in
    #   it, of which `NAME` stands for `NAME_…` too. What has them can be gathered by `compare`.
    # - SWEEPS: tuple[str, ...]: axes that its jobs add to their measurements by themselves.
    # - axes_named(params) -> Mapping[str, Sequence[str]]: of a kind that gathers: param -> axes
    #   that it names, which what it gathers must have; a wrong one is told before anything runs.
    # - spares(params) -> frozenset[str]: inputs that it uses where they are given, and that these
    #   params let it do without; none where absent.
    # - workers(params) -> int: most attempts that may share one job at a time; 1 where absent.
    #   Each of them looks for what the others have finished, and whoever finds nothing left to do
    #   takes all of it over and returns; the first record published stands.
    # - expected_bytes(params, inputs: Mapping[str, Upstream]) -> int | None: most bytes that it
    #   will leave behind, as far as a plan can tell; None where that is not known.
    # - fit(params, inputs, machines, tried, done) -> Fit | None: see `fit_of`.

    def run(self, work: "Work") -> dict[str, Any]:
        """Do it: write files into `work.folder`; return facts (small JSON) for the record."""


def spares_of(kind: Any, params: Any) -> frozenset[str]:
    """Inputs that one such job uses where they are given, and can do without."""
    asked = getattr(kind, "spares", None)
    found: frozenset[str] = frozenset() if asked is None else asked(params)
    return found | {name for name, wanted in kind.INPUTS.items() if wanted.dispensable}


def workers_of(kind: Any, params: Any) -> int:
    """Most attempts that may share one such job at a time."""
    asked = getattr(kind, "workers", None)
    number = 1 if asked is None else int(asked(params))
    assert number >= 1, f"{kind.__name__}.workers gave {number}"
    return number


def expected_bytes_of(kind: Any, params: Any, inputs: Mapping[str, Upstream]) -> int | None:
    """Most bytes that one such job will leave behind; None where that is not known."""
    asked = getattr(kind, "expected_bytes", None)
    found: int | None = None if asked is None else asked(params, inputs)
    return found


def fit_of(
    kind: Any,
    params: Any,
    inputs: Mapping[str, Upstream],
    *,
    machines: Sequence[Resources],
    tried: Sequence[Mapping[str, Any]] = (),
    done: Sequence[Mapping[str, Any]] = (),
) -> Fit | None:
    """How one job is to be done; None for kinds that take what their params say.

    Args:
        kind: the module of the kind.
        params: of the job.
        inputs: what the plan knows of the jobs it reads.
        machines: what each node offers.
        tried: `Fit.execution` of its attempts that ran out of memory, oldest first.
        done: facts of done jobs of this kind, to correct predictions by.
    """
    asked = getattr(kind, "fit", None)
    found: Fit | None = None if asked is None else asked(params, inputs, machines, tried, done)
    assert found is None or set(found.execution) <= execution_names(kind.Params), found
    return found


def execution_names(params: type[Params]) -> frozenset[str]:
    """Names of the params that are execution."""
    return frozenset(marked(params, "execution"))


def marked(params: type[BaseModel], mark: str) -> tuple[str, ...]:
    """Names of the params whose declaration carries a mark, such as `path`."""
    return tuple(
        name
        for name, declared in params.model_fields.items()
        if isinstance(declared.json_schema_extra, dict) and declared.json_schema_extra.get(mark)
    )
