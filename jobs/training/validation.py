"""What is measured on the validation pairs while a model is aligned, the same on every rank."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jobs.training.align_params import Params
from jobs.training.completion_log_probabilities import score_pairs
from jobs.training.engine import Engine, Held
from jobs.training.objective import Objective, ScoredPairs
from jobs.training.preference import margins
from jobs.training.supervision import Supervised, Validate

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def validator(
    trainer: Supervised,
    params: Params,
    engine: Engine,
    objective: Objective,
    reference: ScoredPairs,
) -> Validate:
    """Make what maps a model to its loss on the validation pairs, share preferred, and margin.

    Args:
        trainer: whose model is validated.
        params: of the job.
        engine: that trains.
        objective: whose loss it is.
        reference: the validation pairs, scored by the reference where the objective has one.
    """
    settings = params.settings()
    batch_size = 2 * params.layout().micro_batch

    def validate(model: PreTrainedModel) -> Mapping[str, float]:
        # Divided weights come together only under what is wrapped around the model.
        running = trainer.model_wrapped if Held.WEIGHTS in engine.SHARDED else model
        policy = score_pairs(running, reference.pairs, batch_size=batch_size, dtype=params.dtype)
        assert policy.chosen is not None and policy.rejected is not None
        metrics = {
            "loss": objective.validation_loss(policy, reference, settings),
            "chosen_preferred": float((policy.chosen > policy.rejected).mean()),
        }
        if reference.chosen is not None:
            gains = margins(policy, reference)
            metrics["margin"] = settings["beta"] * float(gains.mean())
            metrics["accuracy"] = float((gains > 0).mean())
        return metrics

    return validate
