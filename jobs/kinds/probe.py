"""An empty job that tries a cluster: whether it takes jobs, runs them and brings back their files.

No linear probe of activations: that is kind `probe-direction`.

For trying a new cluster or root by hand (`seconds` to watch it wait, `fail` to see a failure) and
for measuring what one job costs there; with `parts` and `workers`, several processes share one job.
With `holds_gb` it shows what becomes of a job that runs out of memory, with `num_ranks` whether
several processes start together and hear each other. On a GPU it says what training there would
lack. It computes nothing.
"""

import time
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from cluster.errors import OutOfMemory, UserError
from cluster.machine.resources import Resources
from jobs.kind import Fit, Input, Kind, Params, Situation, execution
from jobs.provenance import Results
from jobs.rehearsal import StandIns, lowered
from jobs.worker import ranks
from jobs.worker.work import Stopped, Work

_PARTS = "scratch/parts"
"""An empty file for every part that is done; no part of the artifact."""

_MOST_PIECES = 4
"""Pieces into which a plan may cut what it holds."""


class ProbeParams(Params):
    """What a probe does before it ends."""

    index: int = Field(0, description="Tells probes apart: `${axis}` makes one job per value.")
    waits: bool = Field(False, description="Reads the probe under the input `after` first.")
    fail: bool = Field(False, description="End with an error that trying again cannot help.")
    seconds: float = execution(0.0, "How long it stays, in seconds.", ge=0)
    parts: int = execution(1, "Parts its time is cut into, for workers to share.", ge=1)
    workers: int = execution(1, "Most workers that may share it.", ge=1)
    holds_gb: float = execution(
        0.0, "Host memory it asks for, in 10^9 bytes; it is never filled.", ge=0
    )
    pieces: int | None = execution(
        1, "Pieces in which it holds that, one at a time. Null: as few as fit a node.", ge=1
    )
    limit_gb: float | None = execution(
        None, "Say that memory ran out where a piece is larger than this.", ge=0
    )
    num_cpus: float = execution(1.0, "Processor cores it asks for, for each rank.", gt=0)
    num_gpus: float = execution(0.0, "Accelerators it asks for, for each rank.", ge=0)
    num_ranks: int = execution(1, "Processes that do it together.", ge=1)
    num_nodes: int = execution(1, "Nodes that they are spread over evenly.", ge=1)


class Probe(Kind[ProbeParams]):
    """Waits, and leaves one small file."""

    VERSION = 1
    INPUTS = {"after": Input(kinds=frozenset({"probe"}), used_if_named=True)}
    Params = ProbeParams
    LEAVES = Results.NUMBERS
    USES_TORCH = False
    LETS_GO = ("probe.txt",)

    def uses(self, params: ProbeParams) -> frozenset[str]:
        """Return the probe it waits for, if it waits."""
        return frozenset({"after"}) if params.waits else frozenset()

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Wait for a second at most, and hold nothing."""
        small = lowered(self.Params, written, seconds=1, holds_gb=0)
        return {**super().in_small(written, stand_ins), **small}

    def resources(self, params: ProbeParams) -> Resources:
        """Return what the params ask for; memory is that of one piece."""
        return Resources(
            num_cpus=params.num_cpus,
            num_gpus=params.num_gpus,
            memory_gb=_piece_gb(params),
            num_ranks=params.num_ranks,
            num_nodes=params.num_nodes,
        )

    def fit(self, params: ProbeParams, at: Situation) -> Fit | None:
        """Choose as few pieces as a node holds, and more than ran out of memory before."""
        if not params.holds_gb:
            return None
        most_gb = max((node.memory_gb for node in at.machines), default=0.0)
        at_least = 1 + max((execution["pieces"] for execution in at.tried), default=0)
        most = params.pieces or _MOST_PIECES
        for pieces in range(params.pieces or at_least, most + 1):
            needed = self.resources(params.model_copy(update={"pieces": pieces}))
            if needed.memory_gb <= most_gb:
                return Fit(
                    resources=needed,
                    execution={"pieces": pieces},
                    peak_memory_gb=needed.memory_gb,
                    hours=params.seconds / 3600,
                    why=f"a node has {most_gb:g} GB, {len(at.tried)} ran out of memory before",
                )
        refusal = f"needs {params.holds_gb / most:g} GB at least; the largest node has {most_gb:g}"
        if at_least > most:
            refusal = f"ran out of memory even in {most} pieces"
        return Fit(resources=self.resources(params), execution={}, refusal=refusal)

    def workers(self, params: ProbeParams) -> int:
        """Return the number that the study gives, and no more than there are parts."""
        return min(params.workers, params.parts)

    def run(self, work: Work[ProbeParams]) -> dict[str, object]:
        """Stay as long as asked, then leave one small file."""
        params = work.params
        if params.num_gpus:
            from jobs.training.kernel_compiler import require_compiler

            require_compiler()
        if params.limit_gb is not None and _piece_gb(params) > params.limit_gb:
            raise OutOfMemory(f"{_piece_gb(params):g} GB are more than {params.limit_gb:g} GB")
        depth = 0
        if params.waits:
            work.input("after").read("probe.txt")
            depth = work.input("after").facts["depth"] + 1
        if params.parts == 1:
            _stay(work, params.seconds)
        else:
            _share(work)
        if params.fail:
            raise UserError("this probe was told to fail", where="param fail")
        if work.rank == 0:
            (work.folder / "probe.txt").write_text(f"{params.index}\n", encoding="utf-8")
        return {"index": params.index, "depth": depth}


def _piece_gb(params: ProbeParams) -> float:
    return params.holds_gb / (params.pieces or 1)


def _share(work: Work[ProbeParams]) -> None:
    """Do every part that no other worker has done; begin where the others do not."""
    params = work.params
    mine = work.folder / _PARTS
    mine.mkdir(parents=True, exist_ok=True)
    first = work.worker * params.parts // work.num_workers
    for number in [*range(first, params.parts), *range(first)]:
        others = work.attempt.earlier(_PARTS)
        done = {file.name for folder in (*others, mine) for file in folder.iterdir()}
        if str(number) in done:
            continue
        _stay(work, params.seconds / params.parts, len(done) / params.parts, 1 / params.parts)
        (mine / str(number)).touch()
        work.attempt.publish(f"{_PARTS}/{number}")


def _stay(work: Work[ProbeParams], seconds: float, before: float = 0.0, share: float = 1.0) -> None:
    """Wait, and say how far it is when this is a `share` of all, and `before` of all is done."""
    ends = time.monotonic() + seconds
    while (rest := max(ranks.gathered(ends - time.monotonic()))) > 0:
        if ranks.any_of(work.stop_requested):
            raise Stopped
        work.progress(before + share * (1 - min(1.0, rest / seconds)), "passing time")
        time.sleep(min(rest, 0.05))
