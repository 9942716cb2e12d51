"""What the snapshots of a training run cost, as the plan states it."""

from collections.abc import Sequence

from jobs.models.sizes import ModelSizes
from jobs.training.align_params import Params
from jobs.training.objective import OBJECTIVES
from jobs.training.planning.footprint import SINGLE, Training
from jobs.training.snapshots.settings import MOST_TOKENS, Snapshots

_PASSES_OF_A_STEP = 3
"""Forward passes that a forward and a backward one cost."""
_GB = 1e9


def most_snapshots(snapshots: Snapshots) -> int:
    """Return the most models that are kept: one that has several labels is kept once."""
    return len(snapshots.labels)


def snapshot_bytes(training: Training) -> float:
    """Return the most bytes of one: all trained weights, which of an adapter is the adapter."""
    return float(SINGLE * training.num_trained)


def share_of_looks(params: Params) -> float:
    """Return the forward passes of looks, as a share of the passes of all steps."""
    snapshots = params.snapshots
    if snapshots is None or not snapshots.looks:
        return 0.0
    pairs = snapshots.pairs or params.global_batch
    sequences = pairs * (2 * (snapshots.margin is not None) + (snapshots.kl is not None))
    rows = params.global_batch * OBJECTIVES.find(params.objective).SEQUENCES_PER_ROW
    return sequences / (_PASSES_OF_A_STEP * rows * snapshots.every)


def host_bytes(params: Params, training: Training) -> float:
    """Return what the first rank holds of a snapshot on its way to disk, and of the start."""
    snapshots = params.snapshots
    if snapshots is None:
        return 0.0
    start = SINGLE * MOST_TOKENS * training.model.shape.vocab_size if snapshots.kl else 0
    return snapshot_bytes(training) + start


def notes_on_snapshots(params: Params, model: ModelSizes | None) -> Sequence[str]:
    """Say how much the models on the way take, at most, and what looking for them costs."""
    snapshots = params.snapshots
    if snapshots is None or not OBJECTIVES.find(params.objective).TRAINS:
        return ()
    number = most_snapshots(snapshots)
    text = f"it keeps {number} model{'' if number == 1 else 's'} on the way"
    if params.lora is not None:
        text += ", an adapter each"
    elif model is not None:
        size = SINGLE * model.num_parameters / _GB
        text += (
            f", at most {size:.3g} GB each and {number * size:.3g} GB together: what differs from "
            "the base, whole where no thin matrices hold it"
        )
    if snapshots.looks:
        text += f"; looks cost about {share_of_looks(params):.1%} of its steps"
    return (text,)
