"""What a site is like: its nodes, partitions and rules, and the files of SLURM that say so."""

from dataclasses import dataclass
from pathlib import Path

_NEVER_REQUEUED = """\
function slurm_job_submit(job, partitions, user)
  job.requeue = 0
  return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, user)
  return slurm.SUCCESS
end
return slurm.SUCCESS
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What tests choose of a SLURM; sites differ in all of it."""

    nodes: tuple[str, ...] = ("n1", "n2")
    """Names of the nodes, in the order of their addresses."""
    cpus: int = 2
    """Processors of a node. They are counted, not had: all nodes share this machine's."""
    memory_mb: int = 6000
    """Memory of a node, in MB; counted as well."""
    gpus: int = 0
    """GPUs of a node; files stand for their devices."""
    is_requeue_allowed: bool = True
    """Whether jobs may be requeued; if not, no user's `--requeue` helps (a plugin of the site)."""
    jobs_age_s: int = 300
    """Seconds after which an ended job is no longer shown (MinJobAge)."""
    grace_s: int = 30
    """Seconds between the word to a preempted job and its end (GraceTime)."""
    kill_wait_s: int = 30
    """Seconds between SIGTERM and SIGKILL at the time limit and at `scancel` (KillWait)."""
    are_limits_enforced: bool = False
    """Whether a job beyond a partition's limits is refused at once (EnforcePartLimits)."""
    lines: tuple[str, ...] = ()
    """Further lines of slurm.conf."""
    partition: str = ""
    """Further words for the partition `main`, such as `AllowAccounts=proj`."""


def write(site: Site, folder: Path, addresses: dict[str, str], controller: str) -> None:
    """Write slurm.conf, cgroup.conf and, where there are GPUs, gres.conf into a folder.

    Args:
        site: What the site is like.
        folder: The site's folder, which every host sees.
        addresses: Node -> its address.
        controller: Name and address of the controller's host, as `NAME(ADDRESS)`.
    """
    gres = f" Gres=gpu:{site.gpus}" if site.gpus else ""
    nodes = [
        f"NodeName={name} NodeAddr={address} CPUs={site.cpus} RealMemory={site.memory_mb}{gres}"
        " State=UNKNOWN"
        for name, address in addresses.items()
    ]
    common = f"Nodes={','.join(site.nodes)} MaxTime=INFINITE State=UP PreemptMode=REQUEUE"
    partitions = [
        f"PartitionName=main {common} Default=YES PriorityTier=1 GraceTime={site.grace_s}"
        f" {site.partition}",
        f"PartitionName=closed {common} PriorityTier=1 AllowAccounts=proj AllowQos=fast",
        f"PartitionName=urgent {common} PriorityTier=10",
        f"PartitionName=short {common.replace('INFINITE', '0:10:00')} PriorityTier=1",
    ]
    lines = [
        "ClusterName=site",
        f"SlurmctldHost={controller}",
        "SlurmUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={folder}/munge.socket",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool.%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid",
        f"SlurmdPidFile={folder}/slurmd.%n.pid",
        f"SlurmctldLogFile={folder}/slurmctld.log",
        f"SlurmdLogFile={folder}/slurmd.%n.log",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        # More processors than the machine has.
        "SlurmdParameters=config_overrides",
        "MpiDefault=none",
        # A node that an administrator took down stays down.
        "ReturnToService=1",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        # A test waits for what a site may take its time with.
        "SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2",
        "SlurmctldTimeout=30",
        "SlurmctldParameters=preempt_send_user_signal",
        "SlurmdTimeout=10",
        f"KillWait={site.kill_wait_s}",
        f"MinJobAge={site.jobs_age_s}",
        f"EnforcePartLimits={'ALL' if site.are_limits_enforced else 'NO'}",
        f"JobRequeue={int(site.is_requeue_allowed)}",
        *([] if site.is_requeue_allowed else ["JobSubmitPlugins=lua"]),
        *(["GresTypes=gpu"] if site.gpus else []),
        *site.lines,
        *nodes,
        *partitions,
    ]
    (folder / "slurm.conf").write_text("\n".join([*lines, ""]))
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    if not site.is_requeue_allowed:
        (folder / "job_submit.lua").write_text(_NEVER_REQUEUED)
    if site.gpus:
        # A count alone is taken for none.
        devices = [folder / f"gpu{number}" for number in range(site.gpus)]
        for device in devices:
            device.touch()
        lines = [f"Name=gpu File={device}" for device in devices]
        (folder / "gres.conf").write_text("\n".join([*lines, ""]))
