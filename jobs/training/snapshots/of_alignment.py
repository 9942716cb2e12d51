"""The snapshots of an `align` job: what is copied of its model, whatever engine holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cluster.errors import UserError
from jobs.forecast.upstream_models import model_of_config
from jobs.liveness.heartbeat import Phase
from jobs.models.folder import read_config
from jobs.models.opened_model import model_folder
from jobs.training.adapters.lora import copy_adapter, settings_of, write_adapter
from jobs.training.engine import Engine, Held
from jobs.training.resume.fsdp_state import divide_again
from jobs.training.snapshots.differences import write_difference
from jobs.training.snapshots.distance import Distance
from jobs.training.snapshots.taking import SnapshotTaker
from jobs.training.trained_weights import copy_whole, trained_weights

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import Tensor
    from transformers import PreTrainedModel

    from jobs.training.layout import Layout
    from jobs.training.snapshots.kept_files import Write
    from jobs.training.snapshots.settings import Snapshots
    from jobs.training.supervision import Supervised
    from jobs.training.tokenized_pairs import TokenizedPair
    from jobs.worker.work import Work


def snapshot_taker(
    work: Work,
    settings: Snapshots,
    engine: Engine,
    num_steps: int,
    *,
    trains_adapter: bool,
    start: Distance | None,
) -> SnapshotTaker:
    """Make what takes the snapshots of a run.

    Args:
        work: the attempt.
        settings: which ones.
        engine: that trains.
        num_steps: optimizer steps of the whole run.
        trains_adapter: whether an adapter is trained, and the base stays as it is.
        start: from which distances are taken; None where no threshold is asked for.
    """
    base = model_folder(work.input("model"))
    num_bytes = 4 * model_of_config(read_config(base)).num_parameters
    copies = _copy_adapter if trains_adapter else partial(_copy_weights, engine, base)
    return SnapshotTaker(
        settings=settings,
        work=work,
        copy=partial(copies, num_bytes),
        look=None if start is None else partial(_look, engine, start),
        num_steps=num_steps,
    )


def measure_start(
    model: PreTrainedModel,
    settings: Snapshots | None,
    validation: Sequence[TokenizedPair],
    params: HowScored,
) -> Distance | None:
    """Score the pairs of all looks before the first step; None where no threshold is asked for.

    Raises:
        UserError: there are no validation pairs.
    """
    if settings is None or not settings.looks:
        return None
    if not validation:
        raise UserError(
            "snapshots at a margin or a divergence need validation pairs, and there are none",
            where="snapshots",
            hint="give the stage `pairs` a validation_fraction above 0",
        )
    return Distance.of_start(
        model,
        validation[: settings.pairs or params.global_batch],
        batch_size=2 * params.layout().micro_batch,
        dtype=params.dtype,
        margin=settings.margin is not None,
        kl=settings.kl is not None,
    )


def _look(engine: Engine, start: Distance, trainer: Supervised) -> Mapping[str, float]:
    """Measure how far the model of a trainer has moved."""
    trainer.supervision.work.pulse.enter(Phase.VALIDATING)
    # Divided weights come together only under what is wrapped around the model.
    is_divided = Held.WEIGHTS in engine.SHARDED
    return start.to(trainer.model_wrapped if is_divided else trainer.model)


def keep_untrained(work: Work, settings: Snapshots) -> dict[str, Any]:
    """Keep the base as the model after every step, where nothing is trained; return the facts."""
    base = model_folder(work.input("model"))
    taker = SnapshotTaker(
        settings=settings,
        work=work,
        copy=lambda trainer: partial(write_difference, {}, base, 1),
        look=None,
        num_steps=max(settings.steps or (0,)),
    )
    taker.keep_all_steps()
    return taker.facts()


class HowScored(Protocol):
    """The params that say how pairs are scored."""

    @property
    def global_batch(self) -> int:
        """Pairs of a step."""

    @property
    def dtype(self) -> str:
        """Dtype to compute in."""

    def layout(self) -> Layout:
        """Return how the run lies on its machines."""


def _copy_adapter(num_bytes: int, trainer: Supervised) -> Write:
    """Copy the adapter that is trained."""
    return partial(
        _write_adapter, copy_adapter(trainer.model), settings_of(trainer.model), num_bytes
    )


def _write_adapter(
    tensors: Mapping[str, Tensor], settings: LoraConfig, num_bytes: int, folder: Path
) -> Mapping[str, Any]:
    write_adapter(tensors, settings, folder / "adapter")
    written = sum(file.stat().st_size for file in (folder / "adapter").iterdir())
    return {
        "form": "adapter",
        "share_of_checkpoint": round(written / num_bytes, 4),
        "why": "an adapter is trained, and the base stays as it is",
    }


def _copy_weights(engine: Engine, base: Path, num_bytes: int, trainer: Supervised) -> Write:
    """Copy all weights that are trained, each gathered to the first rank by itself."""
    if Held.WEIGHTS in engine.SHARDED:
        divide_again(trainer.model)
    copies = {name: copy_whole(weight) for name, weight in trained_weights(trainer).items()}
    whole = {name: copy for name, copy in copies.items() if copy is not None}
    return partial(write_difference, whole, base, num_bytes)
