"""What SLURM's refusals and reasons mean, in one sentence, with what there is instead.

The texts are those of `slurm_strerror` (src/common/slurm_errno.c), which have hardly changed from
20.11 to 25.05; what is not known is passed on as SLURM says it.
"""

import getpass
import re
from collections.abc import Callable
from dataclasses import dataclass

from cluster.errors import UserError, unknown_name
from cluster.slurm.commands import lines_of

_QUICK_S = 5.0
_PREFIX = re.compile(r"^(sbatch|scontrol|scancel|srun): (error: )?", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One thing that a queue says no to."""

    text: str
    """A part of what SLURM says, in small letters."""
    about: str
    """What the profile calls it."""
    meaning: str
    """What it means, in one sentence."""


_REFUSALS = (
    Refusal(
        text="invalid account or account/partition",
        about="account",
        meaning="SLURM does not know this account, or does not let it use this partition",
    ),
    Refusal(
        text="invalid partition name",
        about="partition",
        meaning="there is no such partition",
    ),
    Refusal(text="invalid qos", about="qos", meaning="you may not use this quality of service"),
    Refusal(
        text="requested time limit is invalid",
        about="time",
        meaning="the time limit is above what the partition or its quality of service allows",
    ),
    Refusal(
        text="memory specification can not be satisfied",
        about="memory",
        meaning="no node of the partition has so much memory",
    ),
    Refusal(
        text="memory required by task is not available",
        about="memory",
        meaning="no node of the partition has so much memory",
    ),
    Refusal(
        text="invalid generic resource",
        about="gres",
        meaning="no node of the partition has GPUs of this name",
    ),
    Refusal(
        text="node count specification invalid",
        about="nodes",
        meaning="the partition does not give so many nodes to one job",
    ),
    Refusal(
        text="more processors requested than permitted",
        about="cpus",
        meaning="no node of the partition has so many cores",
    ),
    Refusal(
        text="cpu count per node can not be satisfied",
        about="cpus",
        meaning="no node of the partition has so many cores",
    ),
    Refusal(
        text="requested node configuration is not available",
        about="nodes",
        meaning="no node of the partition has as many cores, as much memory or such GPUs",
    ),
    Refusal(
        text="violates accounting/qos policy",
        about="account",
        meaning="the account's or the quality of service's limit on jobs, nodes or time is reached",
    ),
    Refusal(
        text="user's group not permitted",
        about="partition",
        meaning="you may not use this partition",
    ),
    Refusal(
        text="access/permission denied",
        about="account",
        meaning="SLURM does not let you do this",
    ),
    Refusal(
        text="requested partition configuration not available",
        about="partition",
        meaning="the partition is down, or its limits do not take such a job",
    ),
    Refusal(
        text="invalid feature specification",
        about="options",
        meaning="no node has this feature (--constraint)",
    ),
    Refusal(
        text="requested reservation is invalid",
        about="options",
        meaning="there is no such reservation, or it is not yours",
    ),
    Refusal(
        text="unrecognized option",
        about="options",
        meaning="this version of SLURM has no such option",
    ),
    Refusal(
        text="job dependency problem",
        about="dependency",
        meaning="the job that it was to follow is not known any more",
    ),
    Refusal(
        text="unable to contact slurm controller",
        about="SLURM",
        meaning="SLURM's controller does not answer",
    ),
    Refusal(
        text="configuration source",
        about="SLURM",
        meaning="SLURM is not set up on this machine: use a login node of the cluster",
    ),
    Refusal(
        text="unable to process configuration",
        about="SLURM",
        meaning="SLURM's configuration cannot be read on this machine",
    ),
    Refusal(
        text="socket timed out",
        about="SLURM",
        meaning="SLURM's controller did not answer in time; look with `squeue --me` before you "
        "try again, the job may be there",
    ),
)

_WAITS = {
    "Resources": "waits for free nodes",
    "Priority": "jobs of higher priority come first",
    "Dependency": "waits for the job before it",
    "DependencyNeverSatisfied": "the job before it ended otherwise than it needs: it never starts",
    "BeginTime": "starts again in a moment",
    "JobHeldUser": "you hold it: `scontrol release` lets it go",
    "JobHeldAdmin": "an administrator holds it, or it started too often",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition is inactive",
    "PartitionNodeLimit": "it asks for more nodes than its partition gives: it never starts",
    "PartitionTimeLimit": "its time limit is above its partition's: it never starts",
    "ReqNodeNotAvail": "a node that it needs is down, reserved or kept for maintenance",
    "PartitionConfig": "its partition has no such nodes, or takes no such job: it never starts",
    "AssociationJobLimit": "the account has as many jobs as it may",
    "InvalidAccount": "its account is not valid: it never starts",
    "InvalidQOS": "its quality of service is not valid: it never starts",
    "BadConstraints": "no node is as it asks for: it never starts",
    "QOSMaxWallDurationPerJobLimit": "its time limit is above that of its quality of service: it "
    "never starts",
    "AssocMaxWallDurationPerJobLimit": "its time limit is above that of its account: it never "
    "starts",
    "Cleaning": "its last start is still being cleaned up",
    "launch failed requeued held": "its nodes could not start it, and it is held",
}


def explain_wait(reason: str) -> str:
    """Say in words why a job waits, with SLURM's word for it."""
    word = reason.strip("()").partition(",")[0]
    known = _WAITS.get(word)
    if known is None and word.startswith(("QOS", "Assoc")):
        known = "a limit of the account or the quality of service is reached"
    return f"{known} ({word})" if known else word


def never_starts(reason: str) -> bool:
    """Tell whether a job that waits for this reason waits for ever, as it stands."""
    return "never starts" in _WAITS.get(reason.strip("()").partition(",")[0], "")


def explain_refusal(errors: str) -> str:
    """Return one sentence for what a command of SLURM wrote on its standard error."""
    refusal = _refusal(errors)
    words = last_line(errors)
    return f"{refusal.meaning} (SLURM: {words})" if refusal else f"SLURM refused it: {words}"


def refusal_of(errors: str, asked: dict[str, str]) -> UserError:
    """Make the fault for a batch script that SLURM does not take.

    Args:
        errors: what sbatch wrote on its standard error.
        asked: what was asked for, by the profile's names: account, partition, qos, time, …
    """
    refusal = _refusal(errors)
    about = refusal.about if refusal else "sbatch"
    value = asked.get(about, "")
    there = names_there(about)
    if there and value and value not in there:
        fault = unknown_name(about, value, there, where=about)
        fault.error = f"{fault.error}: {explain_refusal(errors)}"
        return fault
    return UserError(
        explain_refusal(errors),
        where=f"{about}: {value}" if value else about,
        allowed=there or None,
        hint=_HINTS.get(about),
    )


_HINTS = {
    "time": "`sinfo -o '%R %l'` shows the limit of each partition; say less in `limits: {time: …}`",
    "SLURM": "try again in a minute",
    "nodes": "`sinfo -N -l` shows the nodes; say less in the profile's `nodes:`",
    "memory": "`sinfo -N -l` shows the memory of nodes; say less in the profile's `nodes:`",
    "cpus": "`sinfo -N -l` shows the cores of nodes; say fewer in the profile's `nodes:`",
    "gres": "`sinfo -o '%R %G'` shows them; name one with `gres:` beside the nodes",
}


def names_there(about: str) -> list[str]:
    """Return what a site has for this user: names of `partition`, `account` or `qos`.

    Empty where SLURM says nothing of them: a site need not keep accounts.
    """
    return _NAMES[about]() if about in _NAMES else []


def last_line(errors: str) -> str:
    """Return the last line that says something, without the command's name."""
    lines = [line.strip() for line in _PREFIX.sub("", errors).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def _refusal(errors: str) -> Refusal | None:
    text = errors.lower()
    return next((refusal for refusal in _REFUSALS if refusal.text in text), None)


def _partitions() -> list[str]:
    return sorted(set(lines_of(["sinfo", "-h", "-o", "%R"], _QUICK_S)))


def _accounts() -> list[str]:
    return _associated("Account")


def _qualities() -> list[str]:
    return sorted({name for line in _associated("QOS") for name in line.split(",") if name})


def _associated(what: str) -> list[str]:
    words = ["sacctmgr", "-n", "-P", "show", "assoc", f"user={getpass.getuser()}", f"format={what}"]
    return sorted({line for line in lines_of(words, _QUICK_S) if line})


_NAMES: dict[str, Callable[[], list[str]]] = {
    "partition": _partitions,
    "account": _accounts,
    "qos": _qualities,
}
