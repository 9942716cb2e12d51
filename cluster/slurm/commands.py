"""Runs the commands of SLURM: bounded in time, in one language, on a machine that has them.

Nothing here is a long process: a login node is everybody's.
"""

import os
import shutil
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass

_ANSWER_S = 30.0
"""How long a command may take; a controller that is busy answers within seconds, or not for long
(`MessageTimeout` is 10 s unless a site says otherwise)."""
_FORMATS = ("SQUEUE_", "SACCT_", "SINFO_", "SCANCEL_", "SCONTROL_")
"""Variables that change what a command prints or looks at."""
_KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_CLUSTERS")
"""Variables of SLURM that say where it is, and which of its clusters is meant; the others are of an
allocation around this process."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command said."""

    code: int
    """Its exit code."""
    output: str
    """Its standard output."""
    errors: str
    """Its standard error."""


def has_command(name: str) -> bool:
    """Tell whether this machine has a command."""
    return shutil.which(name) is not None


def ask(
    *words: str,
    timeout_s: float = _ANSWER_S,
    without: Collection[str] = (),
) -> Answer:
    """Run a command to its end.

    Args:
        words: the command and its arguments; no shell reads them.
        timeout_s: how long it may take.
        without: further variables that it must not see.

    Raises:
        SurroundingsError: this machine has no such command, or it did not answer in time.
    """
    try:
        ended = subprocess.run(
            words,
            env=_environment(without),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            start_new_session=True,  # a terminal's Ctrl-C does not cut off what it answers
        )
    except FileNotFoundError:
        raise SurroundingsError(
            f"there is no `{words[0]}` on this machine",
            where="PATH",
            hint="run this on a login node of the cluster (perhaps after `module load slurm`)",
            fault_class=FaultClass.CLUSTER,
            code="cluster-unreachable",
        ) from None
    except subprocess.TimeoutExpired:
        raise SurroundingsError(
            f"`{words[0]}` did not answer within {timeout_s:g} s",
            where="SLURM",
            hint="its controller is busy or away: try again in a minute",
            fault_class=FaultClass.CLUSTER,
            code="cluster-unreachable",
        ) from None
    except OSError as error:
        raise SurroundingsError(
            f"`{words[0]}` cannot be run: {error.strerror}",
            where="SLURM",
            fault_class=FaultClass.CLUSTER,
        ) from error
    return Answer(code=ended.returncode, output=ended.stdout, errors=ended.stderr)


def lines_of(words: Sequence[str], timeout_s: float = _ANSWER_S) -> list[str]:
    """Return the lines that a command prints; none where it cannot be had or fails."""
    try:
        answer = ask(*words, timeout_s=timeout_s)
    except SurroundingsError:
        return []
    return answer.output.splitlines() if answer.code == 0 else []


def _environment(without: Collection[str]) -> dict[str, str]:
    return {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_FORMATS)
            and (name in _KEPT or not name.startswith("SLURM"))
            and name not in without
        },
        "LC_ALL": "C",
    }
