"""`BatchRequest`: what one allocation is asked for, and what it runs. Values are checked here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum

from cluster.errors import UserError

_WORD = re.compile(r"[A-Za-z0-9_.,:@%+*=/|&()\[\]~^-]{1,500}", re.ASCII)
"""What a value on an #SBATCH line may hold: sbatch reads quotes, # and spaces in its own way."""
_OPTION = re.compile(r"--[a-z][a-z-]{0,60}(=[^\s\"'\\#]{1,500})?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
MOST_SCRATCH_LETTERS = 21
"""Longest path of a folder for Ray's files: 12 letters, then up to 70 of Ray's, of the 107 that a
socket's path may have."""
OPTIONS = frozenset(
    [
        "--acctg-freq",
        "--bb",
        "--bbf",
        "--begin",
        "--comment",
        "--constraint",
        "--contiguous",
        "--core-spec",
        "--cpu-freq",
        "--deadline",
        "--delay-boot",
        "--exclude",
        "--gpu-freq",
        "--gres-flags",
        "--hint",
        "--licenses",
        "--mail-type",
        "--mail-user",
        "--mcs-label",
        "--network",
        "--nice",
        "--nodelist",
        "--power",
        "--prefer",
        "--priority",
        "--profile",
        "--propagate",
        "--reboot",
        "--reservation",
        "--segment",
        "--spread-job",
        "--switches",
        "--thread-spec",
        "--threads-per-core",
        "--tmp",
        "--use-min-nodes",
        "--wckey",
    ]
)
"""Options of sbatch that may be added: they choose among nodes and times, and change nothing that
the script and the ids of its jobs rely on. Only whole names: sbatch takes any beginning of one."""


class Placeholder(Enum):
    """A word of a command that only the allocation knows."""

    ADDRESS = "$address"
    """Ray's address."""


Words = Sequence[str | Placeholder]
"""A command and its arguments."""


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A value, and where it comes from, for the script's comments."""

    value: str
    """The value, as SLURM takes it."""
    why: str
    """Where it comes from, in a few words."""


@dataclass(frozen=True, kw_only=True)
class NodeShape:
    """The nodes of an allocation."""

    count: int = 1
    """Number of nodes."""
    cpus: int = 1
    """Processor cores asked for on each."""
    gpus: int = 0
    """GPUs asked for on each."""
    gres: str | None = None
    """The generic resource to ask for, such as `gpu:a100:8`; None: `gpu:GPUS`."""
    is_exclusive: bool = False
    """Whether no other job may be on them."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What Ray knows of each node, by name."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What is set up on every node before anything runs."""

    python: str
    """The interpreter that has the packages."""
    code: str | None = None
    """Folder of packages that go before installed ones; None: what is installed."""
    modules: Sequence[str] = ()
    """Environment modules that are loaded."""
    venv: str | None = None
    """Folder of a virtual environment that is activated."""
    image: str | None = None
    """Container image that commands run in, with apptainer."""
    lines: Sequence[str] = ()
    """Further lines of shell, as the user wrote them."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Variables that are exported."""
    scratch: str | None = None
    """A short folder on each node's own disk; None: `$SLURM_TMPDIR`, `$TMPDIR`, `/tmp`."""
    interface: str | None = None
    """Network interface between the nodes; None: the one of the node's address in SLURM."""


@dataclass(frozen=True, kw_only=True)
class BatchRequest:
    """One allocation."""

    title: str
    """What it is for, in one line, for the script's head."""
    name: str
    """The job's name in the queue."""
    nodes: NodeShape
    """Its nodes."""
    setup: Setup
    """What is set up on them."""
    command: Words
    """What runs on the first node, once Ray is there."""
    first_command: Words | None = None
    """The same for the very first start; None: as always."""
    progress_command: Words = ()
    """Prints one number that grows while the work gets on; none: it is not asked."""
    output: str
    """File that SLURM writes what is printed to; `%j` is the job's id."""
    state_folder: str
    """Folder of what starts of one allocation remember between them; all nodes see it."""
    earlier_folder: str | None = None
    """The same of the allocation before it, which must have finished its part; None: none."""
    account: str | None = None
    """Account that is charged."""
    partition: str | None = None
    """Partition."""
    qos: str | None = None
    """Quality of service."""
    time: Explained | None = None
    """Time limit; None: the partition's own."""
    memory: Explained | None = None
    """Host memory of each node; None: the partition's own."""
    options: Sequence[str] = ()
    """Further options of sbatch, `--constraint=a100`."""
    save_s: int = 300
    """Seconds before the time limit at which the work is asked to save."""
    is_requeued: bool = True
    """Whether SLURM may queue it again; else others are queued behind it."""
    most_idle_starts: int = 3
    """Starts in a row without progress after which it ends."""
    most_wait_s: int = 180
    """Seconds that Ray's nodes may take to come together."""
    is_symmetric: bool = False
    """Whether `ray symmetric-run` starts Ray; only on exclusive nodes."""

    def __post_init__(self) -> None:
        for what, value in (
            ("account", self.account),
            ("partition", self.partition),
            ("qos", self.qos),
            ("time", self.time.value if self.time else None),
            ("memory", self.memory.value if self.memory else None),
            ("gres", self.nodes.gres),
            ("name of a job", self.name),
        ):
            if value is not None and not _WORD.fullmatch(value):
                raise UserError(
                    f"{value[:80]!r} cannot be the {what} in a batch script",
                    where=what,
                    allowed=["letters, digits and _ . , : @ + = / -, without spaces or quotes"],
                )
        for option in self.options:
            if fault := option_fault(option):
                raise UserError(fault, where="options")
        for what, path in (("output", self.output), ("folder", self.state_folder)):
            if _UNPRINTABLE.search(path) or '"' in path or "\\" in path:
                raise UserError(
                    f"{path[:200]!r} cannot stand in a batch script",
                    where=what,
                    allowed=["paths without line breaks, double quotes and backslashes"],
                )
        for variable in self.setup.variables:
            if not _VARIABLE.fullmatch(variable):
                raise UserError(f"{variable[:80]!r} is no name of a variable", where="variables")
        if self.is_symmetric and not self.nodes.is_exclusive:
            raise UserError(
                "`ray symmetric-run` stops every Ray of its node: it needs exclusive nodes",
                where="start",
                hint="say `exclusive: true`, or leave the guarded start",
            )


def option_fault(option: str) -> str | None:
    """Say why a text is no further option of sbatch for a script of ours; None where it is."""
    if not _OPTION.fullmatch(option):
        return (
            f"{option[:80]!r} is no option that can stand in a batch script: write --name or "
            "--name=value, one each, without spaces or quotes"
        )
    name = option.partition("=")[0]
    if name in OPTIONS:
        return None
    near = get_close_matches(name, OPTIONS, n=1, cutoff=0.7)
    return (
        f"{name} is no option that may be added{f'; did you mean {near[0]}?' if near else ''}; "
        f"allowed are {', '.join(sorted(OPTIONS))}; nodes, cores, GPUs, memory, time, account, "
        "partition and all else deltascale writes itself, from the other fields"
    )
