"""Kind `snapshot`: one model of a training run, by label: after a step, at a threshold, or the end.

It costs next to nothing: a description of the model, and a reference to what training kept.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from jobs.kind import Input, Kind, Upstream
from jobs.provenance import Model
from jobs.rehearsal import StandIns
from jobs.shared_params import ComputeParams
from jobs.training.snapshots.settings import (
    END,
    REHEARSED,
    check_is_label,
    require_label,
    step_label,
)
from jobs.worker.work import Work

_DESCRIBED = 20_000_000
"""Bytes of a large vocabulary's tokenizer, where the training has left none yet."""


class SnapshotParams(ComputeParams):
    """Which model of the run."""

    snapshot: Annotated[str, BeforeValidator(check_is_label)] = Field(
        ...,
        min_length=1,
        description="Label: `step-N`, `margin-X` or `kl-X` as the params `snapshots` of `align` "
        "ask for, or `end`.",
    )


class Snapshot(Kind[SnapshotParams]):
    """Opens one model of a training run."""

    VERSION = 1
    INPUTS = {"aligned": Input(kinds=frozenset({"align"}))}
    Params = SnapshotParams
    LEAVES = Model.ALIGNED
    USES_TORCH = False
    REFERS = True

    def notes(self, params: SnapshotParams, inputs: Mapping[str, Upstream]) -> Sequence[str]:
        """Raise UserError where training keeps no model of this label."""
        require_label(params.snapshot, inputs["aligned"].params)
        return ()

    def expected_bytes(self, params: SnapshotParams, inputs: Mapping[str, Upstream]) -> int:
        """Return the bytes of config and tokenizer: weights stay where training left them."""
        described = {
            name: size
            for name, size in inputs["aligned"].files.items()
            if name.startswith("model/") and not name.endswith(".safetensors")
        }
        return sum(described.values()) or _DESCRIBED

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
        """Open the one that training keeps in a rehearsal, or the end."""
        is_end = written.get("snapshot") == END
        return {**written, **({} if is_end else {"snapshot": step_label(REHEARSED)})}

    def run(self, work: Work[SnapshotParams]) -> dict[str, object]:
        """Write the model's description and the reference; return what it is."""
        from jobs.training.snapshots.opening import open_snapshot

        return open_snapshot(work, work.params.snapshot)
