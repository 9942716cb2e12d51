"""DeepSpeed ZeRO-1: each rank keeps the optimizer's moments of its share of the weights."""

from jobs.training.engine import Held
from jobs.training.zero import Zero


class Zero1(Zero):
    """ZeRO with divided moments."""

    STAGE = 1
    SHARDED = frozenset({Held.MOMENTS})
