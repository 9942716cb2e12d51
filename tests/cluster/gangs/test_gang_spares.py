"""When processes stand ready for the next try of a gang, who gets them, and when they go."""

from types import SimpleNamespace

import pytest
import ray

from cluster.gangs import gang_spares
from cluster.gangs.gang_board import Seat
from cluster.gangs.gang_spares import KEPT_S, GangSpares
from cluster.machine.resources import Resources
from cluster.nodes.ray_nodes import NODE_ID
from cluster.orphans.launch_label import GANG_VARIABLE

TWO = Resources(num_cpus=2, num_ranks=2)
SEATS = [Seat(rank=rank, node="10.0.0.1", node_id=f"n{rank}", pid=7) for rank in range(2)]


class Actor:
    def __init__(self, kind):
        self.options = lambda **options: self._with(options)

    def _with(self, options):
        self.asked = options
        return self

    def remote(self, imports):
        self.imports = imports
        return self


@pytest.fixture
def spares(monkeypatch):
    clock, killed = SimpleNamespace(now=100.0), []
    monkeypatch.setattr(ray, "remote", Actor)
    monkeypatch.setattr(ray, "kill", killed.append)
    monkeypatch.setattr(gang_spares.time, "monotonic", lambda: clock.now)
    made = GangSpares(["json"])
    return SimpleNamespace(of=made, clock=clock, killed=killed)


def test_each_rank_has_one_beside_it_that_takes_nothing_and_is_named_after_its_gang(spares):
    spares.of.prepare("l-1", TWO, SEATS)
    name, actors = spares.of.take(TWO, [])
    assert name == "l-1+" and "l-1" < name < "l-2"  # what a later gang finds left is an earlier one
    assert [node for node, _ in actors] == ["n0", "n1"]
    for node, actor in actors:
        assert actor.asked["label_selector"] == {NODE_ID: node} and actor.asked["num_cpus"] == 0
        assert list(actor.imports) == ["json"]
    variables = actor.asked["runtime_env"]["env_vars"]
    assert variables[GANG_VARIABLE] == "l-1+" and variables["CUDA_VISIBLE_DEVICES"] == ""


def test_they_go_once_to_a_gang_that_needs_the_same_after_theirs_has_ended(spares):
    spares.of.prepare("l-1", TWO, SEATS)
    assert list(spares.of.names) == ["l-1+"]
    assert spares.of.take(TWO, ["l-1"]) is None
    assert spares.of.take(Resources(num_cpus=1, num_ranks=2), []) is None
    assert spares.of.take(TWO, []) is not None
    assert spares.of.take(TWO, []) is None and not spares.of.names and not spares.killed


def test_they_end_a_minute_after_they_were_asked_for_last(spares):
    spares.of.prepare("l-1", TWO, SEATS)
    spares.clock.now += KEPT_S - 1
    spares.of.prepare("l-1", TWO, SEATS)
    spares.clock.now += KEPT_S - 1
    spares.of.drop_old()
    assert spares.of.names and not spares.killed
    spares.clock.now += 2
    spares.of.drop_old()
    assert not spares.of.names and len(spares.killed) == 2


def test_ranks_that_have_gpus_have_none(spares):
    spares.of.prepare("l-1", Resources(num_cpus=2, num_ranks=2, num_gpus=1), SEATS)
    assert not spares.of.names
