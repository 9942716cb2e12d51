"""What is measured on the validation pairs while a model is aligned, the same on every rank."""

from collections.abc import Callable, Mapping
from typing import Any

from jobs.training.engine import Engine, Held
from jobs.training.log_ratios import margins
from jobs.training.objective import ScoredPairs
from jobs.training.shared_scoring import score_pairs_together


def validator(
    trainer: Any, params: Any, engine: Engine, objective: Any, reference: ScoredPairs
) -> Callable[[Any], Mapping[str, float]]:
    """Model -> loss on the validation pairs, share preferred, and margin where there is one.

    Args:
        trainer: the one whose model is validated.
        params: of the job.
        engine: that trains.
        objective: whose loss it is.
        reference: the validation pairs, scored by the reference where the objective has one.
    """
    settings = params.settings()
    batch_size = 2 * params.layout().micro_batch

    def validate(model: Any) -> Mapping[str, float]:
        # Divided weights come together only under what is wrapped around the model.
        running = trainer.model_wrapped if Held.WEIGHTS in engine.SHARDED else model
        policy = score_pairs_together(
            running, reference.pairs, batch_size=batch_size, dtype=params.dtype
        )
        assert policy.chosen is not None and policy.rejected is not None
        found = {
            "loss": objective.validation_loss(policy, reference, settings),
            "chosen_preferred": float((policy.chosen > policy.rejected).mean()),
        }
        if reference.chosen is not None:
            gains = margins(policy, reference)
            found["margin"] = settings["beta"] * float(gains.mean())
            found["accuracy"] = float((gains > 0).mean())
        return found

    return validate
