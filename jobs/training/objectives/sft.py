"""Supervised fine-tuning on the chosen side: cross-entropy of its completion tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jobs.training.objective import Lesson, Objective, ScoredPairs

if TYPE_CHECKING:
    from jobs.training.supervision import Supervised


class Sft(Objective):
    """Cross-entropy per completion token of the chosen side; the rejected side is not used."""

    SEQUENCES_PER_ROW = 1

    def make_trainer(self, lesson: Lesson) -> Supervised:
        """Make TRL's SFT trainer over our token ids."""
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        from jobs.training.supervision import Supervised

        class SupervisedTrainer(Supervised, SFTTrainer):  # type: ignore[misc]
            pass

        return SupervisedTrainer(
            model=lesson.model,
            args=SFTConfig(**lesson.arguments, **_loss_settings()),
            train_dataset=Dataset.from_dict(_columns(lesson.scored)).select(lesson.order),
            processing_class=lesson.tokenizer,
        )

    def validation_loss(
        self, policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
    ) -> float:
        """Compute the cross-entropy per completion token of the chosen side, in nats."""
        assert policy.chosen is not None
        return float(-policy.chosen.sum() / sum(len(pair.chosen_ids) for pair in policy.pairs))


def _columns(scored: ScoredPairs) -> dict[str, list[list[int]]]:
    """Return token ids and labels, which are -100 on the prompt: no loss there."""
    return {
        "input_ids": [pair.prompt_ids + pair.chosen_ids for pair in scored.pairs],
        "labels": [[-100] * len(pair.prompt_ids) + pair.chosen_ids for pair in scored.pairs],
    }


def _loss_settings() -> Mapping[str, object]:
    """Return every setting of SFTConfig that decides a number, so that none is TRL's default."""
    return {
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "loss_type": "nll",
        "completion_only_loss": False,
        "assistant_only_loss": False,
        "packing": False,
        "padding_free": False,
        "max_length": None,
        "pad_to_multiple_of": None,
        "router_aux_loss_coef": 0.0,
        "use_liger_kernel": False,
        "activation_offloading": False,
    }
