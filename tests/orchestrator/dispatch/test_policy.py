from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.machine.resources import Resources
from jobs.artifacts.job import InputRef, Job
from orchestrator.dispatch.policy import (
    PATIENCE,
    Load,
    Offer,
    choose,
    longest_paths,
    may_join,
    priorities,
)
from orchestrator.dispatch.ready_jobs import ReadyJobs
from orchestrator.dispatch.running_attempts import RunningAttempts

CAPACITY = Resources(num_cpus=8, num_gpus=4, memory_gb=64)

shapes = st.builds(
    Resources,
    num_cpus=st.integers(1, 8),
    num_gpus=st.integers(0, 4),
    memory_gb=st.sampled_from([0, 1, 16, 64]),
)


def load(in_use, *, shape=None, num_ahead=0, most_ahead=0):
    return Load(
        capacity=CAPACITY,
        in_use=in_use,
        shapes=frozenset({shape or in_use}) if in_use.num_cpus else frozenset(),
        num_ahead=num_ahead,
        most_ahead=most_ahead,
    )


def offer(key, place, resources, passed=0):
    return Offer(key=key, priority=(-1, place), resources=resources, passed=passed)


ONE = Resources(num_cpus=1)
ALL = Resources(num_cpus=8)
SEVEN = Resources(num_cpus=7)


def test_the_job_of_highest_priority_that_fits_starts():
    choice = choose([offer("later", 2, ONE), offer("first", 1, SEVEN)], load(ONE))
    assert choice.offer.key == "first"
    assert choice.passes is None


def test_a_small_job_starts_beside_a_large_one_that_does_not_fit_yet():
    choice = choose([offer("large", 1, ALL), offer("small", 2, ONE)], load(ONE))
    assert choice.offer.key == "small"
    assert choice.passes.key == "large"


def test_a_job_that_was_passed_too_often_is_passed_no_more():
    waiting = [offer("large", 1, ALL, passed=PATIENCE), offer("small", 2, ONE)]
    assert choose(waiting, load(ONE)) is None


def test_even_then_a_job_may_start_on_what_the_waiting_one_does_not_need():
    gpus = Resources(num_cpus=1, num_gpus=4)
    busy = Resources(num_cpus=1, num_gpus=2)
    waiting = [offer("gpus", 1, gpus, passed=PATIENCE), offer("cpu", 2, ONE)]
    assert choose(waiting, load(busy)).offer.key == "cpu"
    one_gpu = Resources(num_cpus=1, num_gpus=1)
    assert choose([waiting[0], offer("gpu", 2, one_gpu)], load(busy)) is None


def test_jobs_queue_up_only_behind_jobs_of_their_own_shape():
    full = load(ALL, shape=ONE, num_ahead=0, most_ahead=2)
    assert choose([offer("same", 1, ONE)], full).offer.key == "same"
    assert choose([offer("other", 1, Resources(num_cpus=2))], full) is None
    enough = load(ALL, shape=ONE, num_ahead=2, most_ahead=2)
    assert choose([offer("same", 1, ONE)], enough) is None


def test_an_idle_executor_starts_a_job_whatever_the_sums_say():
    huge = Resources(num_cpus=100)
    assert choose([offer("huge", 1, huge)], load(Resources(num_cpus=0))).offer.key == "huge"


def simulate(needs):
    """Run jobs to the end on CAPACITY, oldest ends first; returns the keys as they started."""
    ready, running, started = ReadyJobs(), RunningAttempts(), []
    for place, resources in enumerate(needs):
        ready.add(str(place), (-1, place), resources)
    order: deque[str] = deque()
    while len(ready) or order:
        while (key := ready.take(running.load(CAPACITY))) is not None:
            running.add(key, key, needs[int(key)])
            order.append(key)
            started.append(key)
            yield running, started
        running.remove(order.popleft())
    assert len(started) == len(needs)


@given(st.lists(shapes, max_size=60))
def test_every_job_starts_once_and_mixed_shapes_never_exceed_what_there_is(needs):
    started = []
    for running, started in simulate(needs):  # noqa: B007 (the last one is used below)
        now = running.load(CAPACITY)
        if len(now.shapes) > 1:
            assert now.in_use.fits(CAPACITY)
    assert sorted(started, key=int) == [str(place) for place in range(len(needs))]


@given(st.integers(1, 7), st.integers(20, 80))
def test_a_large_job_is_not_starved_by_small_ones(small_cpus, num_small):
    needs = [Resources(num_cpus=small_cpus), ALL, *[Resources(num_cpus=small_cpus)] * num_small]
    *_, (_, started) = simulate(needs)
    assert started.index("1") <= 1 + PATIENCE + 8 // small_cpus


def chain(*edges, count):
    """Jobs 0..count-1 in order; an edge (a, b) makes b read a."""
    jobs: list[Job] = []
    for index in range(count):
        refs = [
            InputRef(kind="k", key=jobs[a].key, stage="s", cell={}) for a, b in edges if b == index
        ]
        identity = {"index": index}
        jobs.append(
            Job(
                kind="k",
                version=1,
                params=identity,
                identity_params=identity,
                inputs={"of": refs},
                used=frozenset({"of"}),
                stage="s",
            )
        )
    return jobs


def test_the_longest_remaining_path_goes_first_then_the_plans_order():
    jobs = chain((1, 2), (2, 3), count=4)
    lengths = longest_paths(jobs)
    assert [lengths[job.key] for job in jobs] == [1, 3, 2, 1]
    order = priorities(jobs)
    assert sorted(range(4), key=lambda index: order[jobs[index].key]) == [1, 2, 0, 3]


def test_an_input_that_params_do_not_use_is_not_waited_for():
    first, second = chain((0, 1), count=2)
    assert longest_paths([first, replace(second, used=frozenset())])[first.key] == 1


@pytest.mark.parametrize("removed", ["0", "2"])
def test_removed_jobs_are_not_offered(removed):
    ready = ReadyJobs()
    for place in range(3):
        ready.add(str(place), (-1, place), ONE)
    ready.remove(frozenset({removed}))
    running, taken = RunningAttempts(), []
    while (key := ready.take(running.load(CAPACITY))) is not None:
        taken.append(key)
    assert taken == [key for key in "012" if key != removed]


def test_only_short_jobs_are_queued_behind_those_that_run():
    running = RunningAttempts()
    running.add("a", "a", ALL)
    assert running.load(CAPACITY).most_ahead == 0
    running.learn(0.01)
    assert running.load(CAPACITY).most_ahead > 0
    for _ in range(20):
        running.learn(600)
    assert running.load(CAPACITY).most_ahead == 0


def test_a_worker_joins_only_on_what_no_ready_job_waits_for():
    gpu = Resources(num_cpus=1, num_gpus=1)
    running = load(Resources(num_cpus=4, num_gpus=1))
    assert may_join(gpu, [], running)
    assert not may_join(SEVEN, [], running)
    assert not may_join(ONE, [offer("waits", 1, SEVEN)], running)
    waits_for_gpus = offer("waits", 1, Resources(num_cpus=1, num_gpus=4))
    assert may_join(ONE, [waits_for_gpus], running)
    assert not may_join(gpu, [waits_for_gpus], running)


@given(
    shape=shapes,
    waiting=st.lists(shapes, max_size=4),
    in_use=st.lists(shapes, min_size=1, max_size=3),
)
def test_a_worker_that_joins_never_takes_what_a_waiting_job_could_have_had(shape, waiting, in_use):
    total = in_use[0]
    for more in in_use[1:]:
        total = total.plus(more)
    offers = [offer(str(place), place, each) for place, each in enumerate(waiting)]
    now = load(total, shape=in_use[0])
    if may_join(shape, offers, now):
        assert total.plus(shape).fits(CAPACITY)
        then = load(total.plus(shape), shape=in_use[0])
        for each in waiting:
            assert each.fits(now.free) == each.fits(then.free)


def test_workers_of_one_job_are_numbered_from_0_and_a_free_number_is_given_again():
    running = RunningAttempts()
    assert [running.add(name, "key", ONE) for name in "abc"] == [0, 1, 2]
    assert running.add("other", "another", ONE) == 0
    running.remove("b")
    assert running.add("d", "key", ONE) == 1
    assert set(running.at_job("key")) == {"a", "c", "d"}


FOUR_RANKS = Resources(num_cpus=1, num_gpus=1, num_ranks=4)
ONE_GPU = Resources(num_cpus=1, num_gpus=1)


def two_nodes(*free):
    """Two nodes of four GPUs, so many of each left."""
    busy = Resources(num_cpus=8 - sum(free), num_gpus=8 - sum(free))
    return Load(
        capacity=Resources(num_cpus=64, num_gpus=8),
        in_use=busy,
        shapes=frozenset({ONE_GPU}),
        num_ahead=0,
        most_ahead=0,
        nodes=tuple(Resources(num_cpus=28, num_gpus=each) for each in free),
    )


def test_a_gang_of_one_node_does_not_start_on_room_in_two_halves():
    assert choose([offer("gang", 1, FOUR_RANKS)], two_nodes(2, 3)) is None
    assert choose([offer("gang", 1, FOUR_RANKS)], two_nodes(0, 4)).offer.key == "gang"
    two_by_two = Resources(num_cpus=1, num_gpus=1, num_ranks=4, num_nodes=2)
    assert choose([offer("gang", 1, two_by_two)], two_nodes(2, 2)).offer.key == "gang"


def test_no_gpu_is_taken_from_nodes_that_are_emptied_for_a_gang():
    gang = offer("gang", 1, FOUR_RANKS, passed=PATIENCE)
    assert choose([gang, offer("gpu", 2, ONE_GPU)], two_nodes(3, 3)) is None
    assert choose([gang, offer("cpu", 2, ONE)], two_nodes(3, 3)).offer.key == "cpu"
    assert not may_join(ONE_GPU, [gang], two_nodes(3, 3))
