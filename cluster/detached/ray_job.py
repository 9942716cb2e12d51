"""Hands a command to a Ray as one of its jobs, through the job server of its head.

Ray is spoken to in a child process, which has Ray's token and nothing else that is secret: Ray ends
the process that it is connected from when its head is lost.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.checked_json import parse_json
from cluster.driver.ray_access import OPEN_ALLOWED, TOKEN, TOKEN_PATH, require_address
from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.machine.worker_environment import worker_environment

_CHILD = "cluster.detached.ray_job_server"
_ANSWERS_WITHIN_S = 180.0


@dataclass(frozen=True, kw_only=True)
class RayJob:
    """What is handed over."""

    name: str
    """Its name, which no other job of this Ray has."""
    command: str
    """Shell command; its folder holds the packages, and `$RAY_ADDRESS` says where the Ray is."""
    folder: str
    """Folder that is carried to where it runs."""
    metadata: Mapping[str, str]
    """What `ray job list` shows of it, to everybody; of one `study` and `root` one job may be at
    work."""
    files: Sequence[str] = ()
    """Files and folders of this machine that it reads where it runs."""


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What became of it."""

    address: str
    """`host:port` of the Ray."""
    warning: str | None
    """What the user has to know of this Ray."""


class JobRuns(Exception):
    """A job that must not be at work is; holds its name."""


def submit_job(address: str, access: Mapping[str, str], job: RayJob) -> Submitted:
    """Hand a job to a Ray.

    Args:
        address: `host:port` of its head, or `auto`.
        access: Ray's variables that say where its token is; empty: those that are set.
        job: the job.

    Raises:
        SurroundingsError: the Ray cannot be reached, does not let us in, or has no job server.
        JobRuns: a rival is at work.
    """
    require_address(address)
    answer = _ask(address, access, {"address": address, "job": asdict(job)})
    if "rival" in answer:
        raise JobRuns(str(answer["rival"]))
    return Submitted(address=str(answer["address"]), warning=answer.get("warning") or None)


def _ask(
    address: str, access: Mapping[str, str], request: Mapping[str, object]
) -> dict[str, str | None]:
    variables = dict(worker_environment(os.environ).plain)
    if TOKEN in os.environ:
        variables[TOKEN] = os.environ[TOKEN]
    if access:
        for name in (TOKEN, TOKEN_PATH):
            variables.pop(name, None)
        variables |= access
    # Ray's client takes them for the address, whatever it is told.
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        variables.pop(name, None)
    is_open_allowed = os.environ.get(OPEN_ALLOWED, "") not in ("", "0")
    here = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.insert(0, sys.argv[1]); from {_CHILD} import main; main()"
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-c", code, here],
            input=json.dumps({**request, "is_open_allowed": is_open_allowed}),
            capture_output=True,
            text=True,
            env=variables,
            timeout=_ANSWERS_WITHIN_S,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise _fault(address, f"no answer in {_ANSWERS_WITHIN_S:g} s") from None
    try:
        answer = parse_json(_last(ended.stdout))
        assert isinstance(answer, dict), "the child answers with an object"
    except ValueError:
        said = _last(ended.stderr) or "it said nothing"
        raise _fault(address, f"what asked it ended with code {ended.returncode}: {said}") from None
    if "error" in answer:
        raise SurroundingsError(
            str(answer["error"]),
            where=answer.get("where") or address,
            hint=answer.get("hint"),
            fault_class=FaultClass(answer["fault_class"])
            if answer.get("fault_class")
            else FaultClass.CLUSTER,
        )
    return answer


def _fault(address: str, why: str) -> SurroundingsError:
    return SurroundingsError(
        f"the Ray took no job: {why}", where=address, fault_class=FaultClass.CLUSTER
    )


def _last(text: str) -> str:
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
