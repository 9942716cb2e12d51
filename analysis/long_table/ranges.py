"""The range that a value cannot leave, so that nothing made of several numbers says that it might.

Within one job an estimator keeps its interval in the range. Student's interval over few seeds knows
of none (of a toxic mass of 0.05 and 0.07 it goes from -0.07 to 0.19), nor does a curve through
snapshots.
"""

from __future__ import annotations

from math import inf

Range = tuple[float, float]

SHARE: Range = (0.0, 1.0)
COSINE: Range = (-1.0, 1.0)
POSITIVE: Range = (0.0, inf)
NEGATIVE: Range = (-inf, 0.0)
FROM_ONE: Range = (1.0, inf)
ANY: Range = (-inf, inf)

_SAME = ("_p05", "_p95")
"""What a quantile's name ends in: its range is that of the median."""
_PATCHED, _HALF_DEPTH = "patched_", "half_depth_"
_OF_VALUES: dict[Range, str] = {
    SHARE: "toxic_mass toxic_rate toxic_score token_f1 token_f1_legacy word_f1 "
    "preference_accuracy preference_accuracy_per_token "
    "logit_lens_base logit_lens_aligned logit_lens_answer_base logit_lens_answer_aligned "
    "probe_auc probe_balanced_accuracy probe_accuracy probe_majority "
    "components_90_share stable_rank_share subspace_overlap subspace_overlap_first "
    "subspace_overlap_last captured_energy captured_energy_heldout captured_energy_learned "
    "captured_energy_learned_heldout energy_inside_sft energy_outside_sft "
    "energy_inside_sft_ceiling down_projection_rank1 down_projection_rank1_constancy",
    COSINE: "consistency cosine_to_mean mean_cosine first_token_cosine paired_cosine "
    "toxic_projection toxic_projection_svd1 toxic_projection_svd2 toxic_projection_svd3 "
    "logit_lens_drop logit_lens_answer_drop toxic_cosine reward_margin_length_correlation "
    "base_margin_length_correlation down_projection_rank1_cosine value_vector_shift "
    "value_vector_shift_mode value_vector_shift_nearest value_vector_shift_first "
    "weight_drift_least_cosine weight_drift_whole_least_cosine",
    POSITIVE: "decode_loss decode_loss_shuffled token_kl token_kl_mean kl_per_token offset_norm "
    "relative_norm intrinsic_dimension promoted_toxic_words captured_energy_ratio "
    "captured_energy_learned_ratio step_at_dose "
    "shared_part weight_drift weight_drift_whole",
    NEGATIVE: "on_policy_chosen_logp on_policy_chosen_own_logp",
    FROM_ONE: "perplexity window_perplexity participation_ratio effective_rank components_90 "
    "stable_rank",
    (-inf, 1.0): "cka",
    ANY: "decode_loss_gap reward_margin reward_margin_per_token reward_margin_at_equal_length "
    "chosen_logp_change rejected_logp_change base_margin base_margin_per_token "
    "base_margin_at_equal_length on_policy_chosen gate_linear_split_gate gate_linear_split_linear "
    "reactivation reactivation_ratio toxic_activation_drop toxic_activation_drop_base turn_drift "
    "turn_drift_slope "
    "recovered_toxic_mass recovered_toxic_rate recovered_toxic_score recovered_perplexity "
    "recovered_window_perplexity recovered_token_f1",
}
_RANGES = {value: limits for limits, values in _OF_VALUES.items() for value in values.split()}


def range_of(value: str) -> Range | None:
    """Return the least and the largest that a value can be; None of a study's own metric."""
    if value.startswith(_HALF_DEPTH):
        return POSITIVE
    name = value.removeprefix(_PATCHED)
    for ending in _SAME:
        name = name.removesuffix(ending)
    return _RANGES.get(name)


def possible(value: str, number: float) -> float:
    """Return a number, or where a value cannot be so small or large the end of its range."""
    least, most = range_of(value) or ANY
    return min(max(number, least), most)
