"""`FormulaObjective`: a loss over pairs that TRL does not know, written as one formula.

Training minimises the formula, and validation pairs are scored by it. Everything else is as in
DPO: our token ids, our reference log-probabilities, one model.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cluster.errors import UserError
from jobs.training.objective import Lesson
from jobs.training.preference import Pairs, PreferenceObjective, Settings

if TYPE_CHECKING:
    from torch import Tensor

    from jobs.training.supervision import Supervised

_NOT_THE_MODEL_S = ("completion_mask", "ref_chosen_logps", "ref_rejected_logps")


class FormulaObjective(PreferenceObjective):
    """An objective whose loss of a pair is a formula of both log-ratios."""

    LOSS = "sigmoid"
    """DPOConfig wants a name that it knows; what it names is not computed."""

    @abstractmethod
    def losses(self, chosen: Tensor, rejected: Tensor, settings: Settings) -> Tensor:
        """Compute the loss of each pair, with operations of torch that have a gradient.

        Args:
            chosen: log(policy / reference) of the chosen completions, in nats, shape (pairs,).
            rejected: the same of the rejected completions.
            settings: value of everything in SETTINGS.
        """

    def _checked(self, chosen: Tensor, rejected: Tensor, settings: Settings) -> Tensor:
        """Return `losses`; UserError where they are not one of each pair, as after a broadcast."""
        losses = self.losses(chosen, rejected, settings)
        if getattr(losses, "shape", None) == chosen.shape:
            return losses
        found = tuple(getattr(losses, "shape", ())) or type(losses).__name__
        raise UserError(
            f"`losses` returns {found} of {len(chosen)} pairs: one loss of each is needed",
            where=f"objective {type(self).__name__}",
        )

    def validation_losses(self, chosen: Pairs, rejected: Pairs, settings: Settings) -> Pairs:
        """Compute the loss of each validation pair, by the same formula."""
        import torch

        losses = self._checked(torch.from_numpy(chosen), torch.from_numpy(rejected), settings)
        return np.asarray(losses.numpy())

    def make_trainer(self, lesson: Lesson) -> Supervised:
        """Make DPO's trainer, with the formula in the place of its loss."""
        trainer = super().make_trainer(replace(lesson, settings={"beta": 1.0}))

        def compute_loss(model: Any, inputs: Mapping[str, Any], return_outputs: bool) -> Any:
            # As TRL 1.16 computes log-probabilities; batches hold chosen rows, then rejected ones.
            mask = inputs["completion_mask"]
            given = {name: inputs[name] for name in inputs if name not in _NOT_THE_MODEL_S}
            labels = inputs["input_ids"].masked_fill(mask == 0, -100)
            outputs = model(**given, use_cache=False, labels=labels, fused_lm_head=True)
            sums = outputs.log_probs[:, -(mask.size(-1) - 1) :].sum(dim=1)
            chosen, rejected = sums.chunk(2, dim=0)
            loss = self._checked(
                chosen - inputs["ref_chosen_logps"],
                rejected - inputs["ref_rejected_logps"],
                lesson.settings,
            ).mean()
            return (loss, outputs) if return_outputs else loss

        trainer._compute_loss = compute_loss
        return trainer
