"""The loss, or a gradient, left the range of numbers."""

from cluster.fault_classes import FaultClass

PATTERN = (
    r"(?i:\bloss\b (?:is|was|became|went to|=) ?(?:nan|[+-]?inf(?:inity)?)\b)|"
    r"returned nan values in its \d+\w* output|"
    r"(?i:non-?finite (?:loss|gradient|grad_?norm))|"
    r"(?i:nan (?:or inf )?(?:found )?in (?:loss|grad))"
)
FAULT_CLASS = FaultClass.DIVERGED
REMEDY = (
    "lower `learning_rate` or raise `warmup_steps`; `health.json` beside the attempt has its last "
    "steps"
)
