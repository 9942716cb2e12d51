"""The doctor over two hosts: an unshared root, a firewall, little shared memory, a full disk."""

import json
import sys

import pytest

from tests.hosts.ray_over_hosts import Site
from tests.network_namespaces import Network

pytestmark = pytest.mark.hosts

PORTS = "/proc/sys/net/ipv4/ip_local_port_range"


def drop_new_connections(host):
    """Have a host drop what comes for ports at which it begins to listen from now on.

    The kernel gives listeners odd ports and connections even ones, while there are enough.
    """
    host.call("sh", "-c", f"echo 50000 50199 > {PORTS}")
    drops = [
        f"rule add pref 5 ipproto tcp dport {port} blackhole" for port in range(50001, 50200, 2)
    ]
    rules = ["rule add pref 10 lookup local", "rule del pref 0", *drops]
    done = host.run("ip", "-batch", "-", input="\n".join([*rules, ""]))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site():
    """Two hosts with a Ray; the second has 200 MB of shared memory."""
    network = Network("one", "two")
    site = Site(network)
    two = site.hosts["two"]
    two.call("mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", "/dev/shm")
    for host in site.hosts.values():
        host.call("sh", "-c", f"echo 34000 39000 > {PORTS}")
    site.start_ray()
    yield site
    network.close()


def examine(site, root, code):
    words = (sys.executable, "-m", "orchestrator.cli", "doctor", "--address", site.address)
    done = site.hosts["one"].run(
        *words, "--root", str(root), "--json", env=site.environment("one"), timeout=420
    )
    assert done.returncode == code, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["nodes"] == ["one", "two"]
    assert not [f for f in document["findings"] if "the check failed" in f["value"]]
    return document["findings"]


def of(findings, check):
    return [(f["verdict"], f["value"]) for f in findings if f["check"] == check]


def test_hosts_that_share_all_are_fit(site):
    root = site.folder / "root"
    root.mkdir(exist_ok=True)
    findings = examine(site, root, 0)
    assert of(findings, "root")[0][1].startswith("2 nodes: shared")
    assert of(findings, "locks")[0][0] == "ok"
    assert of(findings, "ray")[0] == ("ok", f"{site.address} can be joined, and asks for a token")
    assert of(findings, "ports") == [("ok", "2 nodes reach each other")]
    ((verdict, summed),) = of(findings, "all-reduce")
    assert verdict == "ok" and summed.startswith("2 ranks on 2 nodes, gloo over eth0: ")
    shared = [value for verdict, value in of(findings, "temp-folders") if verdict == "warning"]
    assert any(value.startswith("two: /dev/shm: ") for value in shared)


def test_an_unshared_root_and_a_firewall_are_told_and_placed(site):
    two = site.hosts["two"]
    root = site.folder / "apart"
    root.mkdir()
    two.call("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root))
    drop_new_connections(two)
    findings = examine(site, root, 1)
    ((verdict, value),) = [line for line in of(findings, "root") if line[0] == "bad"]
    assert value.startswith("two: what is written here is not there")
    assert ("not checked", "two: the root is another folder there") in of(findings, "locks")
    ((verdict, value),) = of(findings, "ports")
    assert verdict == "bad"
    assert value.startswith("two is not reached from one: no answer: a firewall drops it")


@pytest.mark.parametrize("size", ["size=64k", "nr_inodes=2"])
def test_a_full_disk_is_told(site, size):
    one = site.hosts["one"]
    root = site.folder / "full"
    root.mkdir(exist_ok=True)
    one.call("mount", "-t", "tmpfs", "-o", size, "tmpfs", str(root))
    one.run("dd", "if=/dev/zero", f"of={root}/filler", "bs=4k", "count=16")
    words = (sys.executable, "-m", "orchestrator.cli", "profile", "check", "local")
    done = one.run(*words, "--root", str(root), "--json", env=site.environment("one"), timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    (root_line,) = [f for f in json.loads(done.stdout)["findings"] if f["check"] == "root"]
    assert "No space left" in root_line["value"]
    one.call("umount", str(root))
