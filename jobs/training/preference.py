"""`PreferenceObjective`: a loss over pairs that TRL's DPO trainer knows by name, on our terms.

Our token ids, our reference log-probabilities, one model. TRL 1.16 reads reference
log-probabilities from the rows only under `precompute_ref_log_probs`, and then computes them itself
unless `_precompute_ref_logps` is overridden; its `_prepare_dataset` tokenises again, moves the
prompt's end, appends EOS and drops long prompts.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float64

from jobs.training.objective import BETA, Lesson, Objective, ScoredPairs, Setting
from jobs.training.tokenized_pairs import TokenizedPair

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray

    from jobs.training.supervision import Supervised

    Pairs = NDArray[np.float64]
else:
    Pairs = Float64[np.ndarray, " pairs"]
    """One number for each pair."""
Settings = Mapping[str, float]
"""Value of everything in an objective's SETTINGS."""

SMOOTHING = Setting(
    description="Share of labels held to be wrong.", default=0.0, may_be_zero=True, below=0.5
)
"""The setting `label_smoothing` of the objectives that have one."""


class PreferenceObjective(Objective):
    """An objective that is a loss of TRL's DPO trainer, with its formula for validation pairs.

    Training minimises TRL's own loss, the one that LOSS names. `validation_losses` is the same
    formula written here, and is computed on validation pairs only: it never reaches a gradient.
    """

    USES_REFERENCE = True
    SETTINGS: ClassVar[Mapping[str, Setting]] = {"beta": BETA}
    LOSS: ClassVar[str]
    """Name of the loss in TRL."""
    PER_TOKEN: ClassVar[bool] = False
    """True when each log-ratio is divided by the number of tokens of its completion."""

    def make_trainer(self, lesson: Lesson) -> Supervised:
        """Make a supervised DPO trainer over the pairs of a lesson, in its order."""
        from datasets import Dataset
        from trl import DPOConfig, DPOTrainer

        from jobs.training.supervision import Supervised

        class PreferenceTrainer(Supervised, OurRows, DPOTrainer):  # type: ignore[misc]
            pass

        return PreferenceTrainer(
            model=lesson.model,
            args=DPOConfig(**lesson.arguments, **_loss_settings(self.LOSS, lesson.settings)),
            train_dataset=Dataset.from_dict(_columns(lesson.scored)).select(lesson.order),
            processing_class=lesson.tokenizer,
        )

    def validation_loss(
        self, policy: ScoredPairs, reference: ScoredPairs, settings: Settings
    ) -> float:
        """Average the losses of the pairs."""
        chosen, rejected = log_ratios(policy, reference)
        if self.PER_TOKEN:
            chosen, rejected = per_token(chosen, rejected, policy.pairs)
        return float(self.validation_losses(chosen, rejected, settings).mean())

    @abstractmethod
    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each validation pair; training takes TRL's, named by LOSS.

        Args:
            chosen: log(policy / reference) of the chosen completions, in nats, shape (pairs,).
            rejected: the same of the rejected completions.
            settings: value of everything in SETTINGS.
        """


class OurRows:
    """Mixed in before `DPOTrainer`: rows arrive as they must be."""

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        return dataset

    def _prepare_dataset(self, dataset: Dataset, *args: object) -> Dataset:
        return dataset


def log_ratios(policy: ScoredPairs, reference: ScoredPairs) -> tuple[Pairs, Pairs]:
    """Return log(policy / reference) of the chosen and of the rejected completions, in nats."""
    assert policy.chosen is not None and policy.rejected is not None
    assert reference.chosen is not None and reference.rejected is not None
    return policy.chosen - reference.chosen, policy.rejected - reference.rejected


def margins(policy: ScoredPairs, reference: ScoredPairs) -> Pairs:
    """Return log-ratio of the chosen minus log-ratio of the rejected completions, in nats."""
    chosen, rejected = log_ratios(policy, reference)
    return chosen - rejected


def per_token(
    chosen: Pairs, rejected: Pairs, pairs: Sequence[TokenizedPair]
) -> tuple[Pairs, Pairs]:
    """Divide log-ratios by the number of tokens of their completions."""
    return (
        chosen / np.array([len(pair.chosen_ids) for pair in pairs], dtype=np.float64),
        rejected / np.array([len(pair.rejected_ids) for pair in pairs], dtype=np.float64),
    )


def log_sigmoid(values: Pairs) -> Pairs:
    """Return log(1 / (1 + exp(-x))), without overflow."""
    return -np.logaddexp(0.0, -values)


def sigmoid(values: Pairs) -> Pairs:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return np.exp(log_sigmoid(values))


def _columns(scored: ScoredPairs) -> dict[str, list[list[int]] | list[float]]:
    assert scored.chosen is not None and scored.rejected is not None
    return {
        "prompt_ids": [pair.prompt_ids for pair in scored.pairs],
        "chosen_ids": [pair.chosen_ids for pair in scored.pairs],
        "rejected_ids": [pair.rejected_ids for pair in scored.pairs],
        "ref_chosen_logps": scored.chosen.tolist(),
        "ref_rejected_logps": scored.rejected.tolist(),
    }


def _loss_settings(loss: str, settings: Settings) -> Mapping[str, object]:
    """Return every setting of DPOConfig that decides a number, so that none is TRL's default."""
    return {
        # Settings that a loss has no use for are written out all the same; nothing reads them.
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
