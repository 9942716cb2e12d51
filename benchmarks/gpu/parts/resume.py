"""Whether a killed job goes on from its checkpoint to the weights of an undisturbed one."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.align_jobs import AlignJobs
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import JOBS, Aim, Part, Row
from benchmarks.gpu.shapes import shapes

_WENT_ON = "goes on from a checkpoint after SIGKILL"
_LOSSES = "losses after the kill against an undisturbed run, largest difference"
_STEPS, _EVERY = 12, 4


class Resume(Part):
    """Twelve steps, a checkpoint at every fourth, killed once one is whole."""

    ORDER = 52
    QUESTION = "Does a killed job go on where it was?"
    LEAST_GB = 8.0
    NEEDS = JOBS
    AIMS = {_WENT_ON: Aim(), _LOSSES: Aim(most=1e-4)}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield whether it went on, and how far apart the two runs end."""
        how = {"steps": _STEPS, "checkpoint_every": _EVERY, "dtype": "float32"}
        with tempfile.TemporaryDirectory() as folder:
            jobs = AlignJobs(machine, shapes(machine)["gpt2"], Path(folder))
            whole = jobs.run("undisturbed", **how)
            code = jobs.run_until_killed("killed", **how)
            if code != -signal.SIGKILL:
                yield self.row(_WENT_ON, False, note=f"it was not killed: exit code {code}")
                return
            ran = jobs.run("killed", attempt="2", **how)
        begun = ran.facts["training"]["resume"]["resumed_from"] or 0
        yield self.row(_WENT_ON, begun > 0, note=f"after step {begun} of {_STEPS}")
        pairs = zip(ran.losses, whole.losses[-len(ran.losses) :], strict=True)
        yield self.row(_LOSSES, max(abs(ours - theirs) for ours, theirs in pairs))
        yield Row(what="equal weights, to the bit", value=ran.weights == whole.weights)
