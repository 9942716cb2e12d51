"""GPU-hours and money by stage: a GPU's share of its node, and what is unknown is not counted."""

from dataclasses import replace

import pytest

from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from jobs.kind import Fit
from orchestrator.plan.decisions import Decision, JobDecision
from orchestrator.profiles.costs import plan_costs
from orchestrator.profiles.profile import Nodes

LARGE = Nodes(count=4, cpus=64, memory="512GB", gpus=8, gpu="A100-80GB", price=16.0)
SMALL = Nodes(count=2, cpus=32, memory="256GB", price=1.0)


def decided(stage, index, *, hours=None, needs=None, decision=Decision.NEW):
    needs = needs or Resources(num_gpus=1)
    job = Job(
        kind="probe", version=1, params={"index": index}, identity_params={"index": index},
        inputs={}, used={}, stage=stage, cell={"index": str(index)}, resources=needs, workers=1,
    )  # fmt: skip
    fit = None if hours is None else Fit(resources=needs, execution={}, hours=hours)
    return JobDecision(job=job, decision=decision, why="", fit=fit)


@pytest.mark.parametrize(
    ("needs", "nodes", "price"),
    [
        (Resources(num_gpus=1), [LARGE, SMALL], 2.0),
        (Resources(num_gpus=0.25), [LARGE, SMALL], 0.5),
        (Resources(num_gpus=1, num_ranks=8), [LARGE, SMALL], 16.0),
        (Resources(num_gpus=1, num_ranks=16, num_nodes=2), [LARGE, SMALL], 32.0),
        # its share of the cores, or of the memory, on a node without GPUs
        (Resources(num_cpus=8), [LARGE, SMALL], 0.25),
        (Resources(num_cpus=8, memory_gb=128), [LARGE, SMALL], 0.5),
        # only a node with GPUs holds it, or is there
        (Resources(num_cpus=48), [LARGE, SMALL], 12.0),
        (Resources(num_cpus=8), [LARGE], 2.0),
        # the dearest of those that hold it
        (Resources(num_gpus=1), [LARGE, Nodes(cpus=8, gpus=1, gpu="A100-80GB", price=3.0)], 3.0),
        # of none, or not of all, a price is known
        (Resources(num_gpus=1), [LARGE, Nodes(cpus=8, gpus=1, gpu="A100-80GB")], None),
        (Resources(num_gpus=1), [], None),
        (Resources(num_gpus=1), [Nodes(cpus=8, gpus=1, gpu="A100-80GB", price=0.0)], 0.0),
    ],
)
def test_a_job_costs_its_share_of_what_it_holds(needs, nodes, price):
    costs = plan_costs([decided("a", 1, hours=2.0, needs=needs)], nodes, "EUR")
    assert costs.total.money == (None if price is None else pytest.approx(2 * price))
    assert costs.total.jobs_without_price == (price is None)


def test_stages_add_up_and_what_is_unknown_is_said_and_not_counted():
    shared = decided("a", 1, hours=2.0)
    costs = plan_costs(
        [
            shared,
            decided("a", 2),
            decided("a", 3, hours=9.0, decision=Decision.REUSE),
            decided("b", 4, hours=1.0),
            decided("b", 5, hours=9.0, decision=Decision.WILL_NOT_FIT),
            replace(shared, job=replace(shared.job, stage="c")),
        ],
        [LARGE],
        "EUR",
    )
    assert list(costs.stages) == ["a", "b"]
    assert (costs.stages["a"].jobs, costs.stages["a"].jobs_of_unknown_hours) == (2, 1)
    assert [cost.money for cost in costs.stages.values()] == [4.0, 2.0]
    assert (costs.total.jobs, costs.total.gpu_hours, costs.total.money) == (3, 3.0, 6.0)
    document = costs.document()
    assert [stage["stage"] for stage in document["stages"]] == ["a", "b"]
    assert document["total"]["money"] == 6.0 and document["currency"] == "EUR"
