"""TRL's DPO trainer on our terms: our token ids, our reference log-probabilities, one model.

TRL 1.16 reads reference log-probabilities from the rows only under `precompute_ref_log_probs`, and
then computes them itself unless `_precompute_ref_logps` is overridden; its `_prepare_dataset`
tokenises again, moves the prompt's end, appends EOS and drops long prompts.
"""

from collections.abc import Mapping
from typing import Any

from jobs.training.objective import Lesson, ScoredPairs


class OurRows:
    """Mixed in before `DPOTrainer`: rows arrive as they must be."""

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        return dataset

    def _prepare_dataset(self, dataset: Any, *args: Any) -> Any:
        return dataset


def make_preference_trainer(lesson: Lesson, *, loss: str) -> Any:
    """A supervised DPO trainer over the pairs of a lesson, in its order; `loss` is TRL's name."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from jobs.training.supervision import Supervised

    class PreferenceTrainer(Supervised, OurRows, DPOTrainer):  # type: ignore[misc]
        pass

    return PreferenceTrainer(
        model=lesson.model,
        args=DPOConfig(**lesson.arguments, **_loss_settings(loss, lesson.settings)),
        train_dataset=Dataset.from_dict(_columns(lesson.scored)).select(lesson.order),
        processing_class=lesson.tokenizer,
    )


def _columns(scored: ScoredPairs) -> dict[str, list[Any]]:
    assert scored.chosen is not None and scored.rejected is not None
    return {
        "prompt_ids": [pair.prompt_ids for pair in scored.pairs],
        "chosen_ids": [pair.chosen_ids for pair in scored.pairs],
        "rejected_ids": [pair.rejected_ids for pair in scored.pairs],
        "ref_chosen_logps": scored.chosen.tolist(),
        "ref_rejected_logps": scored.rejected.tolist(),
    }


def _loss_settings(loss: str, settings: Mapping[str, float]) -> Mapping[str, Any]:
    """Every setting of DPOConfig that decides a number, so that none is TRL's default."""
    return {
        # What a loss has no use for is written out all the same; nothing reads it.
        "label_smoothing": 0.0,
        "discopop_tau": 1.0,
        **settings,
        "loss_type": [loss],
        "loss_weights": [1.0],
        "f_divergence_type": "reverse_kl",
        "ld_alpha": None,
        "use_weighting": False,
        "disable_dropout": True,
        "precompute_ref_log_probs": True,
        "sync_ref_model": False,
        "max_length": None,
        "pad_to_multiple_of": None,
        "padding_free": False,
        "router_aux_loss_coef": 0.0,
        "use_liger_kernel": False,
        "activation_offloading": False,
    }
