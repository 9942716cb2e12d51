"""What of an `align` job's layout is refused, and what is taken where nothing is chosen."""

import pytest

from cluster.errors import UserError
from cluster.machine.resources import Resources
from jobs.params import execution_names
from jobs.training.align_params import Params
from jobs.training.layout import Layout


def test_where_nothing_is_chosen_each_gpu_has_a_rank_and_its_share_of_the_batch():
    assert Params(global_batch=8).layout() == Layout(micro_batch=8)
    found = Params(global_batch=8, num_gpus=4, num_nodes=2)
    assert found.layout() == Layout(num_ranks=4, num_nodes=2, num_gpus=4, micro_batch=2)
    assert found.resources() == Resources(num_gpus=1, num_ranks=4, num_nodes=2)
    assert Params(global_batch=8, num_ranks=2).resources().total == Resources(num_cpus=2)


def test_the_layout_is_execution_and_survives_a_round_trip():
    names = set(Layout(micro_batch=1).execution)
    assert names <= execution_names(Params)
    layout = Layout(engine="zero2", num_ranks=2, num_gpus=2, micro_batch=2, offload=True)
    assert Params(**layout.execution).layout() == layout


@pytest.mark.parametrize(
    ("given", "where", "said"),
    [
        ({"num_gpus": 3}, "num_gpus", "3 ranks do not divide global_batch 4"),
        ({"num_ranks": 8}, "num_ranks", "8 ranks do not divide global_batch 4"),
        ({"num_ranks": 4, "num_gpus": 2}, "num_gpus", "2 GPUs for 4 ranks"),
        ({"num_ranks": 4, "num_nodes": 3}, "num_nodes", "4 ranks cannot lie evenly on 3 nodes"),
        ({"num_ranks": 2, "micro_batch": 4}, "micro_batch", "does not divide the 2 pairs"),
        ({"engine": "zero9"}, "engine", "unknown engine 'zero9'"),
        ({"engine": "ddp", "offload": True}, "offload", "cannot offload"),
        (
            {"engine": "fsdp2", "early_stopping": {"every": 1, "patience": 1}},
            "engine",
            "cannot keep the best weights",
        ),
        ({"objective": "aot", "num_ranks": 2}, "num_ranks", "in one, not 2 ranks"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_where_it_is_written(given, where, said):
    with pytest.raises(UserError, match=said) as caught:
        Params(**given)
    assert caught.value.where == where
