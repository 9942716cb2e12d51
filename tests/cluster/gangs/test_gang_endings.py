"""What is said of a gang whose ranks did not start."""

from cluster.gangs.gang_board import GangSnapshot
from cluster.gangs.gang_endings import RankDeaths, outcome_of_gang


def test_ranks_that_did_not_start_are_told_by_the_cause_without_stacks(monkeypatch):
    from ray.exceptions import RayTaskError
    from ray.train import ControllerError

    monkeypatch.setattr("cluster.gangs.gang_endings.living_nodes", list)
    trace = "\x1b[36mray::execute()\x1b[39m (pid=7, ip=10.0.0.1)\n  File somewhere\n    ^^^^\nRun"
    cause = RayTaskError(
        "execute", trace, RuntimeError("no address for: nope"), pid=7, ip="10.0.0.1"
    )
    outcome = outcome_of_gang(
        "ticket",
        GangSnapshot(),
        ControllerError(cause.as_instanceof_cause()),
        RankDeaths(is_cut_off=False, planned_gb=0, idle_gb={}),
        is_cancelled=False,
    )
    assert outcome.error == "the ranks did not start: no address for: nope"
