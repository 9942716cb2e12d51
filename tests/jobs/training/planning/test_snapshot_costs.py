"""What snapshots cost, as the plan counts it before anything runs."""

import pytest

from jobs.forecast.upstream_models import model_of_config
from jobs.training.align_params import Params
from jobs.training.planning.snapshot_costs import host_bytes, notes_on_snapshots, share_of_looks
from jobs.training.planning.training_fit import training_with

CONFIG = {"family": "gpt2", "num_layers": 2, "d_model": 32, "num_heads": 4, "vocab_size": 1000}
MODEL = model_of_config({**CONFIG, "max_positions": 64})


def params(**snapshots):
    return Params(objective="dpo", global_batch=16, snapshots=snapshots or None)


@pytest.mark.parametrize(
    ("snapshots", "share"),
    [
        ({"steps": [10]}, 0.0),
        # both sides of 16 pairs every 20 steps, of 3 passes over both sides of 16 pairs
        ({"margin": [1.0]}, 1 / 60),
        ({"kl": [1.0]}, 1 / 120),
        ({"margin": [1.0], "kl": [0.1], "every": 5, "pairs": 32}, 2 * (1 + 0.5) / 15),
    ],
)
def test_looks_cost_their_forward_passes(snapshots, share):
    assert share_of_looks(params(**snapshots)) == pytest.approx(share)


def test_the_plan_says_the_most_bytes_and_holds_one_copy_in_memory():
    given = params(steps=[1, 2, 3])
    (note,) = notes_on_snapshots(given, MODEL)
    size = 4 * MODEL.num_parameters / 1e9
    assert f"at most {size:.3g} GB each and {3 * size:.3g} GB together" in note
    training = training_with(given, MODEL, 64)
    assert training.snapshot_bytes == 4 * MODEL.num_parameters
    with_start = host_bytes(params(kl=[0.1]), training)
    assert with_start == 4 * MODEL.num_parameters + 4 * 512 * 1000
    assert training_with(params(), MODEL, 64).snapshot_bytes == 0
    assert notes_on_snapshots(params(), MODEL) == ()


def test_a_step_beyond_the_end_and_a_value_given_twice_are_refused():
    for wrong, said in (
        ({"steps": [5, 9]}, "training ends after 8"),
        ({"steps": [5, 5]}, "given twice"),
        ({"every": 3}, "neither at which steps"),
    ):
        with pytest.raises(Exception, match=said):
            Params(objective="dpo", steps=8, snapshots=wrong)
