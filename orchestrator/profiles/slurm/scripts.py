"""Makes the request of each allocation of a study: nodes, limits, environment, and what runs."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.nodes.ray_nodes import GPU_MEMORY, GPU_PRODUCT
from cluster.slurm.batch_request import (
    BatchRequest,
    Explained,
    NodeShape,
    Placeholder,
    Setup,
    Words,
)
from orchestrator.dispatch.waiting.patience import SAVE_VARIABLE
from orchestrator.notices.chosen_ways import ChosenWay
from orchestrator.plan.allocation_memory import MemoryAsked
from orchestrator.plan.allocation_time import TimeAsked, slurm_time
from orchestrator.plan.allocations import Allocation
from orchestrator.profiles.environment import JOB_VARIABLES
from orchestrator.profiles.slurm.fields import SlurmNodes, SlurmProfile

PROFILE_COPY = "profile.yaml"
"""Name of the copy of the profile beside the scripts."""


@dataclass(frozen=True, kw_only=True)
class ScriptFacts:
    """What the scripts of one submission have in common."""

    study: str
    """Name of the study."""
    submission: str
    """Id of the submission."""
    root: str
    """The output root, as any node finds it."""
    folder: Path
    """Folder of scripts, logs and states; all nodes see it."""
    code: Path
    """Folder of the packages as they were at submission; all nodes see it."""
    only: Sequence[str]
    """Selectors of the user's."""
    is_fresh: bool
    """Whether failed jobs get a new retry budget, at the very first start."""
    patience: str | None
    """How long the launch waits for its surroundings, as the user wrote it."""
    chaos: Sequence[str] = ()
    """Words of the command line that say which faults are injected on purpose."""
    budget: Sequence[str] = ()
    """What all launches of the study may spend, as the user wrote it."""
    ways: Sequence[ChosenWay] = ()
    """How people are told of it."""
    hang_after: Sequence[str] = ()
    """How long jobs may show no progress, as the user wrote it."""


def batch_request(
    profile: SlurmProfile,
    facts: ScriptFacts,
    allocation: Allocation,
    place: tuple[int, int],
    time: TimeAsked,
    memory: MemoryAsked,
) -> BatchRequest:
    """Make the request of one allocation.

    Args:
        profile: the profile.
        facts: what all scripts of the submission share.
        allocation: its stages and nodes.
        place: its number from 1, and how many there are.
        time: its time limit.
        memory: host memory of each of its nodes.
    """
    shape, limits = profile.nodes[allocation.shape], profile.limits
    number, total = place
    # `resume` forgives the failed jobs of all stages: once, not again what has failed since.
    is_first_fresh = facts.is_fresh and number == 1
    selected = list(facts.only) if total == 1 else list(allocation.stages)
    what = ", ".join(allocation.stages)
    return BatchRequest(
        title=f"study {facts.study!r}, allocation {number} of {total}: {what}",
        name=facts.study if total == 1 else f"{facts.study}.{number}",
        nodes=_shape(shape, allocation.num_nodes),
        setup=_setup(profile, str(facts.code)),
        command=_command(profile, facts, selected, "launch"),
        first_command=_command(profile, facts, selected, "resume") if is_first_fresh else None,
        progress_command=[
            _python(profile),
            "-m",
            "orchestrator.profiles.slurm.progress",
            facts.study,
            facts.root,
        ],
        output=str(facts.folder / f"{number}-%j.log"),
        state_folder=str(facts.folder / str(number)),
        earlier_folder=str(facts.folder / str(number - 1)) if number > 1 else None,
        account=limits.account,
        partition=shape.partition or limits.partition,
        qos=limits.qos,
        time=_time(time),
        memory=_memory(memory),
        options=profile.options,
        save_s=int(limits.save_before),
        is_requeued=limits.again == "requeue",
        most_idle_starts=limits.idle_starts,
        is_symmetric=profile.start == "symmetric-run",
    )


def _time(time: TimeAsked) -> Explained | None:
    if time.seconds is None:
        return None
    return Explained(value=slurm_time(time.seconds), why=f"Time: {time.why}.")


def _memory(memory: MemoryAsked) -> Explained | None:
    if memory.gigabytes is None:
        return None
    megabytes = int(memory.gigabytes * 1e9 / 2**20)  # SLURM's M is 2^20 bytes
    return Explained(value=f"{megabytes}M", why=f"Memory of a node: {memory.why}.")


def _shape(shape: SlurmNodes, num_nodes: int) -> NodeShape:
    labels = {}
    if shape.gpu is not None:
        labels = {
            GPU_MEMORY: f"{shape.node.gpu_memory_gb:g}",
            GPU_PRODUCT: shape.gpu.replace(" ", "-"),
        }
    return NodeShape(
        count=num_nodes,
        cpus=shape.cpus,
        gpus=shape.gpus,
        gres=shape.gres,
        is_exclusive=shape.exclusive,
        labels=labels,
    )


def _setup(profile: SlurmProfile, code: str) -> Setup:
    environment = profile.environment
    variables = dict(environment.variables)
    if variables:
        variables[JOB_VARIABLES] = ",".join(environment.variables)
    # Ray's processes need some of the time to end; the script kills what takes longer.
    variables[SAVE_VARIABLE] = f"{int(profile.limits.save_before) - 45}s"
    return Setup(
        python=_python(profile),
        code=code,
        modules=environment.modules,
        venv=environment.venv,
        image=environment.image,
        lines=environment.setup,
        variables=variables,
        scratch=profile.scratch,
        interface=profile.interface,
    )


def _command(
    profile: SlurmProfile, facts: ScriptFacts, selected: Sequence[str], verb: str
) -> Words:
    return [
        _python(profile),
        "-m",
        "orchestrator.cli",
        verb,
        facts.study,
        "--submission",
        facts.submission,
        "--root",
        facts.root,
        "--address",
        Placeholder.ADDRESS,
        *(word for selector in selected for word in ("--only", selector)),
        *(["--patience", facts.patience] if facts.patience else []),
        *(word for amount in facts.budget for word in ("--budget", amount)),
        *(word for way in facts.ways for word in ("--notify", str(way))),
        *facts.chaos,
        *(word for limit in facts.hang_after for word in ("--hang-after", limit)),
        # Money is counted by the prices of the profile, as it was.
        "--on",
        str(facts.folder / PROFILE_COPY),
    ]


def _python(profile: SlurmProfile) -> str:
    """Return the interpreter on the nodes: the profile's, in its image, or else this one."""
    environment = profile.environment
    if environment.venv:
        return f"{environment.venv}/bin/python"
    return "python" if environment.image else sys.executable
