"""A study over three hosts that fail comes to the tables of one host, byte for byte."""

import pytest

from tests.hosts.ray_over_hosts import STUDY
from tests.network_namespaces import TICK

pytestmark = pytest.mark.hosts


def assert_as_on_one_host(site, one_host):
    tables = site.tables()
    assert tables["measurements.csv"].count("\n") > 5
    assert tables == {name: (one_host / name).read_text() for name in tables}


def test_a_study_completes_while_hosts_are_cut_off_and_lines_are_slow_and_break(start, one_host):
    site = start("one", "two", "three", has_lines=True)
    for line in site.lines.values():
        line.tell("delay 0.005"), line.tell("rate 20000000"), line.tell("every 50")
    launch = site.launch(STUDY)

    site.wait_for(launch, lambda: site.stored("align", "COMPLETE.json"))
    ranks = site.ranks_on()
    assert len(ranks) == 2
    (lost,) = set(ranks) - {"one"} if "one" in ranks else {"three"}
    site.hosts[lost].call("ip", "link", "set", "eth0", "down")
    (away,) = set(site.hosts) - {"one", lost}

    site.wait_for(launch, lambda: len(site.stored("extract", "UNIT.json")) > 2)
    site.network.cut(away)
    site.lines["one"].tell("reset")
    TICK.wait(20)
    site.network.restore(away)
    site.lines["one"].tell("dead")
    TICK.wait(3)
    site.lines["one"].tell("alive")

    site.finish(launch)
    assert_as_on_one_host(site, one_host)
    on = {event["node"] for event in site.events() if event["event"] == "ended"}
    assert any("ranks" in (node or "") for node in on)
