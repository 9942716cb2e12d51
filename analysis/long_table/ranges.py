"""The range that a value cannot leave, so that nothing made of several numbers says that it might.

Within one job an estimator keeps its interval in the range. Student's interval over few seeds knows
of none (of a toxic mass of 0.05 and 0.07 it goes from -0.07 to 0.19), nor does a curve through
snapshots. Metrics declare their own (`RANGES`); here are those of the values of kinds.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cache
from math import inf

from analysis.door import brought_now
from analysis.estimates.answer_metric import ANSWER_METRICS
from analysis.measurement import Range
from analysis.metric import METRICS
from analysis.weight_metric import WEIGHT_METRICS

_PATCHED = "patched_"
_OF_KINDS: dict[Range, str] = {
    (0.0, 1.0): "toxic_mass toxic_rate toxic_score token_f1 token_f1_legacy word_f1 "
    "preference_accuracy preference_accuracy_per_token "
    "logit_lens_base logit_lens_aligned logit_lens_answer_base logit_lens_answer_aligned "
    "probe_auc probe_balanced_accuracy probe_accuracy probe_majority",
    (-1.0, 1.0): "logit_lens_drop logit_lens_answer_drop toxic_cosine "
    "reward_margin_length_correlation base_margin_length_correlation",
    (0.0, None): "decode_loss decode_loss_shuffled token_kl token_kl_mean kl_per_token "
    "promoted_toxic_words step_at_dose",
    (None, 0.0): "on_policy_chosen_logp on_policy_chosen_own_logp",
    (1.0, None): "perplexity window_perplexity",
}


def range_of(value: str) -> tuple[float, float]:
    """Return the least and the largest that a value can be; infinite where it has no such end."""
    least, most = _declared(brought_now()).get(value.removeprefix(_PATCHED)) or _over_answer(value)
    return (-inf if least is None else least, inf if most is None else most)


def possible(value: str, number: float) -> float:
    """Return a number, or where a value cannot be so small or large the end of its range."""
    least, most = range_of(value)
    return min(max(number, least), most)


@cache
def _declared(brought: Hashable) -> Mapping[str, Range]:
    ranges = {value: limits for limits, values in _OF_KINDS.items() for value in values.split()}
    for entry in (*METRICS.entries(), *WEIGHT_METRICS.entries()):
        ranges |= getattr(entry, "RANGES", {})
    return ranges


def _over_answer(value: str) -> Range:
    for name in ANSWER_METRICS.names():
        if value.startswith(f"{name}_"):
            return ANSWER_METRICS.find(name).RANGE
    return None, None
