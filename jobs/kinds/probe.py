"""An empty job: shows that a cluster takes jobs, runs them and brings back what they leave.

For trying a new cluster or root by hand (`seconds` to watch it wait, `fail` to see a failure) and
for measuring what one job costs there. It computes nothing.
"""

import time
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from cluster.errors import UserError
from cluster.resources import Resources
from jobs import kind
from jobs.kind import Input, execution
from jobs.work import Stopped, Work

VERSION = 1
INPUTS = {"after": Input(kinds=frozenset({"probe"}), required=False)}
GATHERS = False
USES_TORCH = False


class Params(kind.Params):
    """What a probe does before it ends."""

    index: int = Field(0, description="Tells probes apart: `${axis}` makes one job per value.")
    waits: bool = Field(False, description="Reads the probe under the input `after` first.")
    fail: bool = Field(False, description="End with an error that trying again cannot help.")
    seconds: float = execution(0.0, "How long it stays, in seconds.", ge=0)
    num_cpus: float = execution(1.0, "Processor cores it asks for.", gt=0)
    num_gpus: float = execution(0.0, "Accelerators it asks for.", ge=0)


def uses(params: Params) -> frozenset[str]:
    """The probe it waits for, if it waits."""
    return frozenset({"after"}) if params.waits else frozenset()


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It names nothing outside."""
    return {}


def resources(params: Params) -> Resources:
    """What it was told to ask for."""
    return Resources(num_cpus=params.num_cpus, num_gpus=params.num_gpus)


def run(work: Work) -> dict[str, Any]:
    """Stay as long as asked, then leave one small file."""
    params: Params = work.params
    depth = work.input("after").facts["depth"] + 1 if params.waits else 0
    ends = time.monotonic() + params.seconds
    while (rest := ends - time.monotonic()) > 0:
        if work.stop_requested:
            raise Stopped
        work.progress(1 - rest / params.seconds, "waiting")
        time.sleep(min(rest, 0.05))
    if params.fail:
        raise UserError("this probe was told to fail", where="param fail")
    (work.folder / "probe.txt").write_text(f"{params.index}\n", encoding="utf-8")
    return {"index": params.index, "depth": depth}
