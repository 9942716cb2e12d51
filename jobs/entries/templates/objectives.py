"""Objective `my-entry`: DPO's loss, with a margin that is asked for.

The contract is jobs/training/objective.py. A loss of both log-ratios is one formula
(jobs/training/formula_objective.py); docs/howto/adding-an-objective.md says what else there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.training.formula_objective import FormulaObjective
from jobs.training.objective import BETA, Setting
from jobs.training.preference import Settings

if TYPE_CHECKING:
    from torch import Tensor


class MyEntry(FormulaObjective):
    """-log sigmoid(beta margin - target): what training minimises, and validation shows."""

    SETTINGS = {
        "beta": BETA,
        "my_entry_target": Setting(
            description="Margin that is asked for.", default=0.0, may_be_zero=True
        ),
    }

    def losses(self, chosen: Tensor, rejected: Tensor, settings: Settings) -> Tensor:
        """Compute the loss of each pair from log(policy / reference) of both completions."""
        from torch.nn.functional import logsigmoid

        margins = settings["beta"] * (chosen - rejected)
        return -logsigmoid(margins - settings["my_entry_target"])
