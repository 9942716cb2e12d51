"""Every value that a kind or metric writes has a range within which intervals over seeds stay."""

from analysis.long_table.ranges import range_of
from analysis.metric import METRICS
from analysis.weight_metric import WEIGHT_METRICS
from jobs.comparing.measuring_kinds import measuring_kinds


def test_the_range_of_every_value_is_declared():
    metrics = [*METRICS.entries(), *WEIGHT_METRICS.entries()]
    values = {name for metric in metrics for name in metric.REPORTS}
    for kind, names in measuring_kinds().items():
        values |= set() if kind in ("measure", "weights") else set(names)
    assert [name for name in sorted(values) if range_of(name) is None] == []


def test_a_value_made_of_another_has_a_range_of_its_own():
    assert range_of("half_depth_consistency") == (0.0, float("inf"))
    assert range_of("patched_perplexity") == (1.0, float("inf"))
    assert range_of("cosine_to_mean_p05") == range_of("cosine_to_mean") == (-1.0, 1.0)
    assert range_of("my_entry") is None
