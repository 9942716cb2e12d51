"""Whether Ray starts two ranks together, on a GPU each, through the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import Aim, Part, Row
from benchmarks.gpu.parts.study import launch

_DONE = "a job of two ranks, a GPU each, is done"
GANG = {"num_ranks": 2, "num_gpus": 1}


class RayGangs(Part):
    """One job of kind `probe` on a Ray of its own."""

    ORDER = 104
    QUESTION = "Does Ray start ranks on two GPUs?"
    LEAST_GPUS = 2
    NEEDS = ("ray", "wandb")
    AIMS = {_DONE: Aim()}

    def why_not(self, machine: Machine) -> str | None:
        """Leave it out of rehearsals: it starts a Ray."""
        return "no rehearsal: it starts a Ray" if machine.rehearses else super().why_not(machine)

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield whether the job came to its end."""
        study = {"study": "gang", "stages": {"pair": {"kind": "probe", "params": GANG}}}
        with tempfile.TemporaryDirectory() as folder:
            fault, _ = launch(Path(folder), study, executor="ray")
        yield self.row(_DONE, not fault, note=fault)
