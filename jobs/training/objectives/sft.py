"""Supervised fine-tuning on the chosen side: cross-entropy of its completion tokens."""

from collections.abc import Mapping
from typing import Any

from jobs.training.objective import Lesson, ScoredPairs, Setting

USES_REFERENCE = False
SETTINGS: Mapping[str, Setting] = {}


def make_trainer(lesson: Lesson) -> Any:
    """TRL's SFT trainer over our ids; see Objective."""
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
    policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
) -> float:
    """Cross-entropy per completion token of the chosen side, in nats."""
    assert policy.chosen is not None
    return float(-policy.chosen.sum() / sum(len(pair.chosen_ids) for pair in policy.pairs))


def _columns(scored: ScoredPairs) -> dict[str, list[Any]]:
    """Labels are -100 on the prompt: no loss there."""
    return {
        "input_ids": [pair.prompt_ids + pair.chosen_ids for pair in scored.pairs],
        "labels": [[-100] * len(pair.prompt_ids) + pair.chosen_ids for pair in scored.pairs],
    }


def _loss_settings() -> Mapping[str, Any]:
    """Every setting of SFTConfig that decides a number, so that none is TRL's default."""
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
