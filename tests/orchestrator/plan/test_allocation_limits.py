"""What allocations ask for: time and memory as measured with a margin, as forecast, or all."""

from dataclasses import replace

import pytest

from cluster.machine.resources import Resources
from jobs.kind import Fit
from orchestrator.plan.allocation_memory import ask_memory
from orchestrator.plan.allocation_time import ask_time, slurm_time
from orchestrator.plan.allocations import Allocation, NodeOffer
from orchestrator.plan.decisions import Decision, JobDecision
from orchestrator.records.failure import Result
from orchestrator.records.history import History
from orchestrator.records.job_history import JobHistory

OFFER = NodeOffer(node=Resources(num_cpus=8, memory_gb=64), count=2)
ONE = Allocation(stages=("probes",), shape=0, num_nodes=1)
HOUR = 3600.0


@pytest.fixture
def jobs(make_probe):
    return [make_probe(index) for index in range(8)]


def decisions(jobs, hours=None, resources=None):
    fits = [
        None
        if hours is None
        else Fit(resources=resources or job.resources, execution={}, hours=hours)
        for job in jobs
    ]
    return [
        JobDecision(job=job, decision=Decision.NEW, why="", fit=fit)
        for job, fit in zip(jobs, fits, strict=True)
    ]


def past(jobs, seconds=0.0, peak_gb=0.0):
    done = JobHistory(seconds=seconds, peak_gb=peak_gb, result=Result.DONE)
    return History(jobs={job.key: done for job in jobs})


def time_of(jobs, history, limit_s=24 * HOUR, allocation=ONE, **options):
    by_key = {job.key: job for job in jobs}
    return ask_time(allocation, OFFER, decisions(jobs, **options), by_key, history, limit_s)


def memory_of(jobs, history, offer=OFFER, **options):
    by_key = {job.key: job for job in jobs}
    return ask_memory(ONE, offer, decisions(jobs, **options), by_key, history)


def test_what_was_measured_counts_with_a_margin_and_time_to_start(jobs) -> None:
    # Eight jobs of an hour, eight at a time: 1 h x 1.5 and 10 minutes.
    asked = time_of(jobs, past(jobs[:1], HOUR))
    assert asked.seconds == 1.5 * HOUR + 600
    assert "measured" in asked.why and "x 1.5" in asked.why


def test_jobs_that_share_nodes_wait_for_each_other(jobs) -> None:
    whole_node = Resources(num_cpus=8)
    one_by_one = time_of(jobs, History(), hours=1.0, resources=whole_node)
    assert one_by_one.seconds == 8 * 1.5 * HOUR + 600
    both = time_of(
        jobs, History(), hours=1.0, resources=whole_node, allocation=replace(ONE, num_nodes=2)
    )
    assert both.seconds == 4 * 1.5 * HOUR + 600
    assert "forecast" in both.why


def test_a_stage_takes_as_long_as_its_longest_job(jobs) -> None:
    assert time_of(jobs[:1], past(jobs[:1], 2 * HOUR)).seconds == 3 * HOUR + 600


def test_the_limit_is_never_exceeded_and_asked_for_where_nothing_is_known(jobs) -> None:
    more = time_of(jobs, past(jobs[:1], 100 * HOUR))
    unknown = time_of(jobs, History())
    assert more.seconds == unknown.seconds == 24 * HOUR
    assert "is more" in more.why and "nothing is known" in unknown.why
    assert time_of(jobs, History(), limit_s=None).seconds is None


def test_a_job_that_failed_tells_nothing_of_how_long_it_takes(jobs) -> None:
    failed = History(jobs={jobs[0].key: JobHistory(seconds=5.0, result=Result.ERROR)})
    assert "nothing is known" in time_of(jobs, failed).why


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(90, "00:01:00"), (5400, "01:30:00"), (86400, "1-00:00:00"), (129599, "1-11:59:00")],
)
def test_limits_are_written_as_slurm_reads_them_and_never_longer(seconds, written) -> None:
    assert slurm_time(seconds) == written


def test_memory_is_that_of_all_jobs_at_once_with_a_margin(jobs) -> None:
    asked = memory_of(jobs, past(jobs[:1], peak_gb=2.0))
    assert asked.gigabytes == pytest.approx(8 * 2.0 * 1.3 / 0.93 + 3.0, abs=0.1)
    assert "as measured" in asked.why and "x 1.3" in asked.why


def test_memory_is_at_least_what_jobs_are_placed_by(jobs) -> None:
    large = replace(jobs[0].resources, memory_gb=20.0, num_cpus=8)
    asked = memory_of(jobs, past(jobs[:1], peak_gb=1.0), hours=1.0, resources=large)
    assert asked.gigabytes == pytest.approx(20.0 / 0.93 + 3.0, abs=0.1)


def test_the_node_is_asked_for_where_nothing_was_measured_or_more_is_needed(jobs) -> None:
    assert memory_of(jobs, History()).gigabytes == 64
    assert "nothing measured of probes" in memory_of(jobs, History()).why
    assert memory_of(jobs, past(jobs[:1], peak_gb=10.0)).gigabytes == 64
    unknown = NodeOffer(node=replace(OFFER.node, memory_gb=float("inf")), count=1)
    assert memory_of(jobs, History(), offer=unknown).gigabytes is None
