"""A value has a range within which intervals over seeds stay."""

from math import inf
from pathlib import Path

from analysis.long_table.ranges import range_of
from analysis.metric import METRICS
from analysis.weight_metric import WEIGHT_METRICS
from jobs.comparing.measuring_kinds import measuring_kinds
from jobs.entries.own_entries import read_entries
from tests.jobs.entries.files import METRIC, write

UNBOUNDED = {
    *("decode_loss_gap", "reward_margin", "reward_margin_per_token"),
    *("reward_margin_at_equal_length", "chosen_logp_change", "rejected_logp_change"),
    *("base_margin", "base_margin_per_token", "base_margin_at_equal_length", "on_policy_chosen"),
    *("gate_linear_split_gate", "gate_linear_split_linear", "reactivation", "reactivation_ratio"),
    *("toxic_activation_drop", "toxic_activation_drop_base", "turn_drift", "turn_drift_slope"),
    *(f"recovered_toxic_{what}" for what in ("mass", "rate", "score")),
    *("recovered_perplexity", "recovered_window_perplexity", "recovered_token_f1"),
}
"""Values that can be any number."""


def test_every_value_has_a_range_or_is_known_to_have_none():
    metrics = [*METRICS.entries(), *WEIGHT_METRICS.entries()]
    values = {name for metric in metrics for name in metric.REPORTS}
    for kind, names in measuring_kinds().items():
        values |= set() if kind in ("measure", "weights") else set(names)
    assert {name for name in values if range_of(name) == (-inf, inf)} == UNBOUNDED & values
    assert values >= UNBOUNDED


def test_a_range_is_of_a_value_that_its_metric_reports():
    for metric in (*METRICS.entries(), *WEIGHT_METRICS.entries()):
        assert set(getattr(metric, "RANGES", ())) <= set(metric.REPORTS), metric.DEFINITION


def test_a_value_made_of_another_has_a_range_of_its_own():
    assert range_of("half_depth_consistency") == (0.0, inf)
    assert range_of("patched_perplexity") == (1.0, inf)
    assert range_of("cosine_to_mean_p05") == range_of("cosine_to_mean") == (-1.0, 1.0)
    assert range_of("captured_energy_ratio") == (0.0, inf)
    assert range_of("captured_energy_heldout") == (0.0, 1.0)


def test_a_study_s_own_metric_may_declare_one(tmp_path: Path):
    ranged = METRIC.replace("    HEADLINES", '    RANGES = {"spread": (0, None)}\n    HEADLINES')
    own = read_entries(write(tmp_path / "entries", {"metrics/spread.py": ranged}), "s.yaml:2")
    assert range_of("spread") == (-inf, inf)
    with own.bringing():
        assert range_of("spread") == (0.0, inf)
    assert range_of("spread") == (-inf, inf)
