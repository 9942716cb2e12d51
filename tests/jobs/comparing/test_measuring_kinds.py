"""Kinds say what they measure; comparisons derive from that what may be gathered and named."""

import pytest

from cluster.errors import UserError
from jobs.comparing.measuring_kinds import expected_values, measuring_kinds, value_names
from jobs.comparing.view import View
from jobs.kind import KINDS
from jobs.kinds.compare import Compare

compare = Compare()


def test_every_kind_that_measures_can_be_gathered():
    kinds = compare.gathered_kinds()
    assert {"measure", "behave", "weights", "probe-direction"} <= kinds
    said = {name for name in KINDS.names() if KINDS.find(name).MEASURES}
    assert kinds == said == set(measuring_kinds())


def test_a_view_knows_every_value_and_what_metrics_make_of_theirs():
    for name in (*value_names(), "captured_energy_ratio", "weight_drift_whole"):
        assert list(View(metrics=[name]).metrics) == [name]
    with pytest.raises(UserError, match="did you mean 'toxic_mass'"):
        View(metrics=["toxic_mas"])


def test_a_job_that_failed_would_have_measured_what_its_params_asked_for():
    assert expected_values("behave", {"metrics": ["decode_loss"]}) == [
        *("decode_loss", "decode_loss_shuffled", "decode_loss_gap"),
    ]
    assert expected_values("probe-direction", {})[0] == "probe_auc"
    assert expected_values("measure", {"metrics": ["cka"]}) == ["cka"]
