"""The plan as it is printed: hours of GPUs, as far as they are known."""

from dataclasses import replace

import pytest

from cluster.machine.resources import Resources
from jobs.artifacts.job import Job
from jobs.kind import Fit
from orchestrator.plan.decisions import Decision, JobDecision
from orchestrator.views.text_output import show_plan


def stage(*hours):
    jobs = [
        Job(kind="probe", version=1, params={}, identity_params={"index": index}, stage="s")
        for index, _ in enumerate(hours)
    ]
    one_gpu = Fit(resources=Resources(num_gpus=1), execution={})
    return [
        JobDecision(job=job, decision=Decision.NEW, why="", fit=replace(one_gpu, hours=each))
        for job, each in zip(jobs, hours, strict=True)
    ]


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ((1.0, 2.5), "   3.5 GPU-hours\n"),
        ((1.5, None), "   1.5 GPU-hours, 1 job not known\n"),
        ((None, None), "   GPU-hours not known\n"),
    ],
)
def test_hours_that_nobody_knows_are_no_zero(hours, said, capsys):
    show_plan(stage(*hours), every_job=False)
    assert said in capsys.readouterr().out
