"""A Ray of two hosts, one of which is cut off: its calls are lost soon, and the others go on."""

import json
import subprocess

import pytest

from tests.hosts.ray_over_hosts import Site
from tests.network_namespaces import Network

pytestmark = pytest.mark.hosts

CALLS = """
import os, time
from pathlib import Path

def where(payload, surroundings):
    return surroundings.node

def stay(payload, surroundings):
    Path(f"{payload}-{surroundings.node}-{surroundings.rank}").write_text("")
    while not surroundings.stop_requested():
        time.sleep(0.05)
    return "stopped"
"""

LAUNCH = """
import json, sys, time
from pathlib import Path
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources

address, folder = sys.argv[1], Path(sys.argv[2])
executor = Executor(address=address)
executor.start()

def say(what, **more):
    print(json.dumps({"what": what, **more}), flush=True)

def started(pattern, count):
    until = time.monotonic() + 120
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < until, pattern
        assert executor.wait(0.2) == []

executor.submit("gang", "cut_off_calls:stay", str(folder / "gang"), Resources(
    num_ranks=2, num_nodes=2))
started("gang-*", 2)
for name in ("one", "two"):
    executor.submit(name, "cut_off_calls:stay", str(folder / name), Resources())
started("one-*", 1), started("two-*", 1)
say("started")
sys.stdin.readline()
began = time.monotonic()
ended = {}
while len(ended) < 2 and time.monotonic() - began < 180:
    for outcome in executor.wait(0.5):
        ended[outcome.ticket] = outcome
        say("ended", ticket=outcome.ticket, node=outcome.node, error=outcome.error,
            fault=outcome.fault_class and outcome.fault_class.value,
            seconds=time.monotonic() - began)
for _ in range(60):  # Ray takes back what the gang's other rank held once its process has ended
    free = [node.num_cpus for node in executor.free()]
    if free == [1]:
        break
    time.sleep(0.5)
say("nodes", nodes=len(executor.nodes()), free=free)
executor.submit("next", "cut_off_calls:where", "", Resources())
until = time.monotonic() + 60
while time.monotonic() < until:
    for outcome in executor.wait(0.5):
        say("ended", ticket=outcome.ticket, answer=outcome.answer)
        until = 0
executor.close()
"""


@pytest.fixture
def site(tmp_path):
    """A Ray of two CPUs on each of two hosts, which asks for a token."""
    (tmp_path / "cut_off_calls.py").write_text(CALLS)
    with Network("one", "two") as network:
        site = Site(network, cpus=2)
        site.paths.append(str(tmp_path))
        site.start_ray()
        yield site


def test_calls_on_a_host_that_is_cut_off_are_lost_and_the_others_go_on(site, tmp_path):
    first, second = (host.address for host in site.hosts.values())
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    words = (site.python, "-c", LAUNCH, site.address, str(tmp_path))
    launch = site.hosts["one"].start(*words, env=site.environment("one"), text=True, **pipes)
    assert "started" in launch.stdout.readline()
    site.hosts["two"].call("ip", "link", "set", "eth0", "down")
    out, err = launch.communicate("go on\n", timeout=500)
    assert launch.returncode == 0, err
    told = [json.loads(line) for line in out.splitlines()]
    ended = {line["ticket"]: line for line in told if line["what"] == "ended"}
    (here,) = [name for name in ("one", "two") if list(tmp_path.glob(f"{name}-{first}-0"))]
    (there,) = {"one", "two"} - {here}
    assert set(ended) == {"gang", there, "next"}
    for ticket in ("gang", there):
        assert ended[ticket]["fault"] == "lost-node", ended
        assert ended[ticket]["node"] == second
        # Ray itself takes the host for dead after a minute, and never ends the call.
        assert ended[ticket]["seconds"] < 60
    assert ended["next"]["answer"] == first
    (nodes,) = [line for line in told if line["what"] == "nodes"]
    assert (nodes["nodes"], nodes["free"]) == (1, [1])
