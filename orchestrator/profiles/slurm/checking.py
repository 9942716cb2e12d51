"""What the doctor asks of a SLURM site: holds what a profile names against what the site has."""

from collections.abc import Iterator, Sequence

from cluster.errors import SurroundingsError, unknown_name
from cluster.slurm.commands import has_command
from cluster.slurm.partitions import PartitionNodes, partitions_of_site
from cluster.slurm.refusals import names_there
from orchestrator.plan.allocation_time import slurm_time
from orchestrator.profiles.kind import Finding
from orchestrator.profiles.node_check import describe
from orchestrator.profiles.slurm.fields import SlurmNodes, SlurmProfile
from orchestrator.text import pluralize


def check_site(profile: SlurmProfile) -> list[Finding]:
    """Look up partitions, nodes, time limits, account and quality of service; submit nothing."""
    if not has_command("sinfo"):
        text = "SLURM: not looked at: no sinfo here; check again on a login node of the cluster"
        return [Finding(is_good=True, text=text, is_looked_at=False)]
    try:
        there = partitions_of_site()
    except SurroundingsError as fault:
        return [Finding(is_good=False, text=f"SLURM: {fault.error}")]
    shapes = [finding for shape in profile.nodes for finding in _check_shape(profile, shape, there)]
    return [*shapes, *_check_names(profile)]


def _check_shape(
    profile: SlurmProfile, shape: SlurmNodes, there: Sequence[PartitionNodes]
) -> Iterator[Finding]:
    limits = profile.limits
    name = shape.partition or limits.partition
    nodes = [one for one in there if (one.partition == name if name else one.is_default)]
    if not nodes:
        names = sorted({one.partition for one in there})
        text = "partition: SLURM has no default one: name one"
        if name:
            fault = unknown_name("partition", name, names, where="")
            text = f"{fault.error}; there are: {', '.join(names)}"
        yield Finding(is_good=False, text=text)
        return
    able = sum(one.count for one in nodes if _is_able(shape, one))
    where = f"{pluralize(shape.count, 'node')} of {describe(shape.node)} in {nodes[0].partition}"
    yield Finding(
        is_good=able >= shape.count,
        text=f"nodes: {where}: SLURM has {able}{'' if able >= shape.count else ' such'}",
    )
    if limits.time is not None and limits.time > nodes[0].most_s:
        most = slurm_time(nodes[0].most_s)
        text = f"time: {slurm_time(limits.time)} is above the {most} of {nodes[0].partition}"
        yield Finding(is_good=False, text=text)


def _is_able(shape: SlurmNodes, there: PartitionNodes) -> bool:
    gres = (shape.gres or "").rpartition(":")[0]  # `gpu:a100:8` without its number
    return (
        shape.cpus <= there.cpus
        and (shape.memory is None or shape.memory <= there.memory_gb)
        and shape.gpus <= there.gpus
        and gres in there.gres
    )


def _check_names(profile: SlurmProfile) -> Iterator[Finding]:
    limits = profile.limits
    for about, value in (("account", limits.account), ("qos", limits.qos)):
        if value is None:
            continue
        names = names_there(about)
        if not names:
            text = f"{about}: {value}: not looked at: SLURM's accounting says nothing of you here"
        elif value in names:
            text = f"{about}: {value} is yours"
        else:
            text = f"{about}: {value} is not yours; there are: {', '.join(names)}"
        is_good = not names or value in names
        yield Finding(is_good=is_good, text=text, is_looked_at=bool(names))
