"""Takes dropout out of a model that is trained on.

Published checkpoints differ in it (GPT-2, OPT and Phi 2 drop a tenth), and so would their families
then: an update would be noisier in one than in the other, a policy would not begin as its
reference, and a run would depend on its micro-batch. TRL turns off the modules named Dropout, and
of preference objectives alone; OPT drops by a function that reads a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.nn import Module


def turn_off_dropout(model: Module) -> None:
    """Set every rate of dropout in a model's modules to 0; its config stays as it is."""
    from torch.nn import Dropout

    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
        rates = [name for name, value in vars(module).items() if _is_rate(name, value)]
        for name in rates:
            setattr(module, name, 0.0)


def _is_rate(name: str, value: object) -> bool:
    """Tell the rates by which modules drop: `attention_dropout`, `dropout`, `layerdrop`."""
    return "drop" in name and isinstance(value, (int, float)) and not isinstance(value, bool)
