"""DeepSpeed ZeRO-2: moments and gradients are divided among the ranks."""

from jobs.training.engine import Held
from jobs.training.zero import Zero


class Zero2(Zero):
    """ZeRO with divided moments and gradients."""

    STAGE = 2
    SHARDED = frozenset({Held.GRADIENTS, Held.MOMENTS})
