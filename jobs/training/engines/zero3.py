"""DeepSpeed ZeRO-3: weights too are divided; each layer is gathered while it computes."""

from jobs.training.engine import Held
from jobs.training.zero import Zero


class Zero3(Zero):
    """ZeRO with divided moments, gradients and weights."""

    STAGE = 3
    SHARDED = frozenset(Held)
