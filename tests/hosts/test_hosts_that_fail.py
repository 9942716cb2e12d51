"""Hosts that lose some of the others, or all for a while: what their attempts do, and may not do.

All tests share the hosts, which have several networks each, as hosts do. Jobs only wait.
"""

import json
import time

import pytest

from tests.hosts.ray_over_hosts import Site
from tests.network_namespaces import TICK, Network

pytestmark = pytest.mark.hosts

PROBES = """study: {study}
axes:
  index: {indices}
stages:
  first: {{kind: probe, over: [index], params: {{index: "${{index}}", seconds: {seconds}}}}}
"""


@pytest.fixture(scope="module")
def site():
    """A Ray of one processor on each of three hosts with several networks."""
    with Network("store", "one", "two", "three") as network:
        site = Site(network)
        site.give_other_networks()
        site.start()
        yield site


@pytest.fixture
def probes(tmp_path, site):
    """A function: name of a study, its indices (unlike all others'), seconds -> its file."""

    def write(study, indices, seconds, **more):
        text = PROBES.format(study=study, indices=list(indices), seconds=seconds)
        for name, value in more.items():
            text = text.replace("}}\n", f", {name}: {value}}}}}\n")
        (tmp_path / f"{study}.yaml").write_text(text)
        return tmp_path / f"{study}.yaml"

    return write


def at_work(site, launch):
    """Return the attempt on each host, once there is one on all."""
    attempts = {}

    def are_there():
        for name in site.hosts:
            attempts[name] = [task for task in site.tasks_on(name) if task.startswith("20")]
        return all(attempts.values())

    site.wait_for(launch, are_there)
    return {name: first for name, (first, *_) in attempts.items()}


def ends(site, study):
    return [event for event in site.events(study) if event["event"] == "ended"]


def records(site):
    return {name: site.read(name) for name in site.stored("probe", "record.json")}


def attempt_of(site, key):
    return json.loads(site.read(f"artifacts/probe/{key[:16]}/record.json"))["attempt"]


def is_idle(site, name):
    return not [task for task in site.tasks_on(name) if task.startswith("20")]


def test_a_gang_meets_over_the_network_that_its_hosts_share(site, probes):
    study = probes("gang", [100], 0, num_ranks=2, num_nodes=2)
    site.finish(site.launch(study))
    (end,) = ends(site, "gang")
    assert end["result"] == "done" and end["node"].count("10.77.0.") == 2


def test_what_a_host_publishes_that_lost_the_ray_alone_is_believed(site, probes):
    # As long as an unreachable host is waited for, and less than Ray itself waits.
    launch = site.launch(probes("apart", range(3), 25))
    apart = at_work(site, launch)["two"]
    site.network.separate("two", "one", "three")
    try:
        site.finish(launch)
    finally:
        site.network.rejoin("two", "one", "three")
    done = {end["key"] for end in ends(site, "apart") if end["result"] in ("done", "reused")}
    assert len(done) == 3
    assert apart in {attempt_of(site, key) for key in done}


def test_a_host_that_comes_back_changes_nothing_that_others_have_done(site, probes):
    restart(site, "two")
    launch = site.launch(probes("back", range(10, 13), 40))
    away = at_work(site, launch)["two"]
    site.hosts["two"].call("ip", "link", "set", "eth0", "down")
    site.finish(launch)
    written = records(site)
    (lost,) = [end for end in ends(site, "back") if end["attempt"] == away]
    assert lost["fault_class"] == "lost-node"
    assert attempt_of(site, lost["key"]) != away

    site.hosts["two"].call("ip", "link", "set", "eth0", "up")
    until = time.monotonic() + 120
    while not is_idle(site, "two"):
        assert time.monotonic() < until, site.tasks_on("two")
        TICK.wait(0.5)
    assert records(site) == written
    site.ask("verify", "back")


def test_a_launch_outlives_the_host_of_the_head_for_twenty_seconds(site, probes):
    restart(site, "two")
    launch = site.launch(probes("head", range(20, 26), 15), on="two")
    at_work(site, launch)
    site.network.cut("one")
    TICK.wait(20)
    site.network.restore("one")
    site.finish(launch)
    assert len({end["key"] for end in ends(site, "head") if end["result"] == "done"}) == 6


def test_hosts_that_hear_each_other_slowly_do_what_they_are_told(site, probes):
    restart(site, "two")
    for name in site.hosts:
        site.slow(name, "1mbit")
    try:
        site.finish(site.launch(probes("slow", [30], 5, num_ranks=2, num_nodes=2)))
        site.finish(site.launch(probes("slower", range(31, 35), 5)))
    finally:
        for name in site.hosts:
            site.quicken(name)


def test_connections_that_are_reset_between_hosts_are_the_fault_of_no_job(site, probes):
    restart(site, "two")
    launch = site.launch(probes("reset", range(70, 73), 30))
    at_work(site, launch)
    site.reset("two", "one", "three")
    site.finish(launch)
    done = [end for end in ends(site, "reset") if end["result"] in ("done", "reused")]
    assert len({end["key"] for end in done}) == 3
    broken = [end for end in ends(site, "reset") if end["result"] not in ("done", "reused")]
    assert {end["fault_class"] for end in broken} == {"network"}, broken


@pytest.mark.parametrize("answer", ["unreachable", "blackhole"])
def test_a_host_that_alone_cannot_reach_the_storage_keeps_no_job_from_the_others(
    site, probes, answer
):
    restart(site, "three")
    site.network.separate("three", "store", answer=answer)
    number = 40 if answer == "unreachable" else 60
    try:
        site.finish(site.launch(probes(answer, range(number, number + 8), 8)))
    finally:
        site.network.rejoin("three", "store")
    there = [end for end in ends(site, answer) if end["node"] == site.hosts["three"].address]
    assert not [end for end in there if end["result"] == "done"]
    assert len(there) <= 6
    assert {end["fault_class"] for end in there} <= {"storage-away", "network"}


def restart(site, name):
    """Start a host's part of the Ray again, where Ray has given it up or that has ended."""
    if site.hosts[name].address in site.living() and site.nodes[name].poll() is None:
        return
    for process in site.hosts[name].processes():
        process.kill()
    site.nodes[name].wait(60)
    site.start_node(name)
