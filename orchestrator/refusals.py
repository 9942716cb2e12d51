"""What each reason code of a refusal means, and the command that comes next.

`docs/agents.md` prints this table; programs act by the codes, which never change.
"""

import argparse
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.errors import DeltascaleError
from orchestrator.printed_commands import typed

_COMMAND = re.compile(r"`((?:deltascale|hf|kill|ray) [^`]+)`")
"""A command inside a hint: who raised the fault knows best what comes next."""


@dataclass(frozen=True)
class Refusal:
    """One reason for which a command is refused."""

    meaning: str
    """What is wrong, in a few words."""
    next: str
    """The command that comes next, after what the meaning says was mended; `{study}`, `{job}` and
    `{root}` stand for what the refused command said, `{again}` for the refused command itself."""


_AGAIN = "{again}"
_HELP = "deltascale {verb} --help"
_PLAN = "deltascale plan {study}{root}"
_STATUS = "deltascale status {study}{root}"
_DOCTOR = "deltascale doctor{root}"

REFUSALS: Mapping[str, Refusal] = {
    # the command line
    "unknown-verb": Refusal("no such verb", "deltascale --help"),
    "unknown-option": Refusal("no such option of this verb", _HELP),
    "invalid-option": Refusal("an option or argument is missing, wrong or of no use here", _HELP),
    "unknown-executor": Refusal("no such executor", _HELP),
    "unknown-profile": Refusal("no profile of that name", "deltascale profile show"),
    "ambiguous-profile": Refusal("several profiles of that name", "deltascale profile show"),
    "unknown-study": Refusal("no such study file, and none launched so", "deltascale status{root}"),
    "unknown-submission": Refusal("this study was never submitted so", _STATUS),
    "unknown-job": Refusal("the selector chooses no job", f"{_STATUS} --jobs"),
    "ambiguous-job": Refusal("the selector chooses several jobs", f"{_STATUS} --jobs"),
    "not-started": Refusal("the job has no log yet: no attempt was at it", _STATUS),
    "unknown-cell": Refusal(
        "no measurement is so named", "deltascale compare {study}{root} --json"
    ),
    "ambiguous-cell": Refusal("several cells are so named: add axes", _AGAIN),
    "nothing-measured": Refusal("there is nothing to show yet", _STATUS),
    # the study
    "unknown-stage": Refusal("the study has no such stage", _PLAN),
    "unknown-axis": Refusal("the study, or this stage of it, has no such axis", _PLAN),
    "unknown-value": Refusal("no such value", _PLAN),
    "unknown-kind": Refusal("no such kind of job, profile or entry", "deltascale schema"),
    "unknown-metric": Refusal("no such metric", "deltascale schema"),
    "unknown-name": Refusal("a name that does not exist; `allowed` lists those that do", _AGAIN),
    "invalid-study": Refusal("the study file is wrong at `where`", _PLAN),
    "invalid-input": Refusal("what the user gave cannot be used as it is", _AGAIN),
    "data-missing": Refusal("data or a model that the study names is not here", _AGAIN),
    "gated": Refusal("the hub does not give it without accepted terms or a token", _AGAIN),
    "permission-needed": Refusal(
        "the user must allow it in a file of their own; never write that for them", _AGAIN
    ),
    "diverged": Refusal("numbers of a training left the finite range", _STATUS),
    # the root
    "root-not-found": Refusal("this is no root, or no path", _AGAIN),
    "root-read-only": Refusal("the root cannot be written", _DOCTOR),
    "root-unfit": Refusal("the storage cannot keep two writers apart", _DOCTOR),
    "root-without-locks": Refusal("the file system of the root has no locks", _DOCTOR),
    "foreign-entry": Refusal(
        "something that is not ours lies where a file of ours belongs", _AGAIN
    ),
    "damaged-file": Refusal("a file under the root is damaged", "deltascale verify {study}{root}"),
    "no-space": Refusal("what is asked for does not fit on the disk", "deltascale gc{root}"),
    "storage-full": Refusal("a disk or quota has no room left", "deltascale gc{root}"),
    "storage-away": Refusal("the storage does not answer", _AGAIN),
    "storage-read-only": Refusal("the storage takes no writes now", _DOCTOR),
    "permission": Refusal("storage, hub or cluster refuse these credentials", _AGAIN),
    # others at work
    "study-running": Refusal("another launch of the study runs, or waits in a queue", _STATUS),
    "lock-lost": Refusal("another launch took the study over: this one ended", _STATUS),
    "no-room": Refusal("others hold what it needs", _STATUS),
    "preempted": Refusal("the machine was wanted back", _AGAIN),
    # machines
    "cluster-unreachable": Refusal("no Ray or SLURM answers there", _DOCTOR),
    "cluster": Refusal("the cluster refused, or is gone", _DOCTOR),
    "versions-differ": Refusal("nodes have other versions than this launch", _DOCTOR),
    "network": Refusal("a hub or another service does not answer", _AGAIN),
    "port": Refusal("a network port is in use", _AGAIN),
    "out-of-memory": Refusal("too little memory for it as it is laid out", _AGAIN),
    "host-memory": Refusal("a neighbour took the memory of the host", _AGAIN),
    "gpu": Refusal("an accelerator is out of order", _DOCTOR),
    "gpu-taken": Refusal("processes that are none of ours hold an accelerator", _DOCTOR),
    "lost-process": Refusal("a process of ours died", _AGAIN),
    "lost-node": Refusal("a node died or cannot be reached", _DOCTOR),
    "hung": Refusal("something made no progress for too long", _STATUS),
    "collateral": Refusal("another process of the same job failed first", _STATUS),
    "surroundings": Refusal("the machine does not allow it now", _AGAIN),
    "gave-up": Refusal("what was waited for did not come back in time", _AGAIN),
    "interrupted": Refusal("a signal ended it; what is done is kept", _AGAIN),
    "program": Refusal("a program of a job failed", _STATUS),
    "program-fault": Refusal("a fault of deltascale itself; report the file at `where`", _AGAIN),
}
"""Reason code -> what it means and what comes next."""


def refusal_document(
    fault: DeltascaleError, words: Sequence[str], options: argparse.Namespace
) -> dict[str, object]:
    """Describe a fault for programs.

    Args:
        fault: what was raised.
        words: the refused command line, after the program's name.
        options: what was read of it.

    Returns:
        `{error, where, allowed, hint, code, exit_code, next}`; what is not known is null.
    """
    return {**fault.as_json(), "exit_code": fault.exit_code, "next": _next(fault, words, options)}


def _next(fault: DeltascaleError, words: Sequence[str], options: argparse.Namespace) -> str:
    root = getattr(options, "root", None)
    said = _COMMAND.search(fault.hint or "")
    if said is not None and "…" not in said[1] and not re.search(r"\b[A-Z]{3,}\b", said[1]):
        return typed(said[1])
    studies = getattr(options, "studies", None) or [getattr(options, "study", None)]
    said_of_code = REFUSALS[fault.code].next.format(
        verb=words[0] if words else "",
        study=shlex.quote(studies[0]) if studies and studies[0] else "STUDY",
        root=f" --root {shlex.quote(root)}" if root else "",
        again=shlex.join(["deltascale", *words]),
    )
    return typed(said_of_code)
