"""Hands a batch script to SLURM, and says in one sentence why it is not taken."""

import os
import re
from collections.abc import Sequence

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.slurm.batch_request import OPTIONS, BatchRequest
from cluster.slurm.commands import ask
from cluster.slurm.refusals import explain_refusal, refusal_of

_ID = re.compile(r"^(\d+)(;\S+)?\s*$", re.MULTILINE)
_CONTROLLER = (
    "unable to contact",
    "socket timed out",
    "zero bytes",
    "communication",
    "configuration source",
    "unable to process configuration",
)
"""What sbatch says where the fault is not in what was asked for."""
_SUBMIT_S = 60.0
_OVERRIDING = {
    "SBATCH_ACCOUNT": "account",
    "SBATCH_PARTITION": "partition",
    "SBATCH_QOS": "qos",
    "SBATCH_TIMELIMIT": "time",
    "SBATCH_MEM_PER_NODE": "memory",
}
"""Variables that sbatch prefers to what the script says -> what the script may say."""
_OF_OPTIONS = {
    {"--cpu-freq": "SBATCH_CPU_FREQ_REQ", "--switches": "SBATCH_WAIT4SWITCH"}.get(
        option, f"SBATCH_{option[2:].replace('-', '_').upper()}"
    ): option
    for option in OPTIONS
}
"""The same for options that a profile may add; all other variables of sbatch are left out."""


def submit(
    request: BatchRequest, script: str, *, after: Sequence[str] = (), is_retry: bool = False
) -> str:
    """Submit the script of an allocation; return the job's id.

    Args:
        request: what it asks for, to explain a refusal.
        script: path of the script.
        after: ids of jobs that must have ended first.
        is_retry: whether it only runs where the job before it did not complete.

    Raises:
        UserError: SLURM refuses what is asked for.
        SurroundingsError: SLURM cannot be reached, or did not answer.
    """
    stated = request_words(request)
    words = ["sbatch", "--parsable"]
    if after:
        kind = "afternotok" if is_retry else "afterany"
        words.append(f"--dependency={kind}:{':'.join(after)}")
        if is_retry:
            words.append("--kill-on-invalid-dep=yes")
    answer = ask(*words, script, timeout_s=_SUBMIT_S, without=_overriding(request))
    match = _ID.search(answer.output)
    if answer.code == 0 and match:
        return match[1]
    if any(word in answer.errors.lower() for word in _CONTROLLER):
        raise SurroundingsError(
            explain_refusal(answer.errors), where="sbatch", fault_class=FaultClass.CLUSTER
        )
    raise refusal_of(answer.errors, stated)


def _overriding(request: BatchRequest) -> list[str]:
    """Return the variables of this process that would change what the script says."""
    stated = request_words(request).keys() | {word.partition("=")[0] for word in request.options}
    harmless = {name for name, what in (_OVERRIDING | _OF_OPTIONS).items() if what not in stated}
    return [name for name in os.environ if name.startswith("SBATCH_") and name not in harmless]


def request_words(request: BatchRequest) -> dict[str, str]:
    """Return what an allocation asks for, by the names that a profile uses."""
    nodes = request.nodes
    asked = {
        "account": request.account,
        "partition": request.partition,
        "qos": request.qos,
        "time": request.time.value if request.time else None,
        "memory": request.memory.value if request.memory else None,
        "nodes": f"{nodes.count} x {nodes.cpus} cores, {nodes.gpus} GPUs",
        "cpus": str(nodes.cpus),
        "gres": nodes.gres or (f"gpu:{nodes.gpus}" if nodes.gpus else None),
    }
    return {name: value for name, value in asked.items() if value}
