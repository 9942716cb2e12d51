"""A Ray of two hosts, one of which is cut off: its calls are lost soon, and the others go on."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root, ip"
    ),
]

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
import json, subprocess, sys, time
from pathlib import Path
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources

address, folder, cut = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
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
subprocess.run(cut, check=True)
began = time.monotonic()
ended = {}
while len(ended) < 2 and time.monotonic() - began < 180:
    for outcome in executor.wait(0.5):
        ended[outcome.ticket] = outcome
        say("ended", ticket=outcome.ticket, node=outcome.node, error=outcome.error,
            fault=outcome.fault_class and outcome.fault_class.value,
            seconds=time.monotonic() - began)
say("nodes", nodes=len(executor.nodes()), free=[node.num_cpus for node in executor.free()])
executor.submit("next", "cut_off_calls:where", "", Resources())
until = time.monotonic() + 60
while time.monotonic() < until:
    for outcome in executor.wait(0.5):
        say("ended", ticket=outcome.ticket, answer=outcome.answer)
        until = 0
executor.close()
"""


@pytest.fixture
def hosts(tmp_path):
    """Two network namespaces that see each other, each a host with its own address."""
    mark = f"ds{os.getpid() % 10000}"
    bridge = f"{mark}b"
    net = f"10.{os.getpid() % 100 + 100}.77"
    names = [f"{mark}n{number}" for number in (1, 2)]

    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("link", "set", bridge, "up")
        for number, name in enumerate(names, start=1):
            ip("netns", "add", name)
            ip("link", "add", f"{name}v", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{name}v", "master", bridge)
            ip("link", "set", f"{name}v", "up")
            ip("-n", name, "addr", "add", f"{net}.1{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield [(name, f"{net}.1{number}") for number, name in enumerate(names, start=1)]
    finally:
        for name in names:
            words = ["ip", "netns", "pids", name]
            pids = subprocess.run(words, capture_output=True, text=True, check=False).stdout
            for pid in pids.split():
                subprocess.run(["kill", "-9", pid], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", bridge], check=False, capture_output=True)


@pytest.fixture
def address(hosts, tmp_path, monkeypatch):
    """The head of a Ray of two CPUs on each host, which asks for a token."""
    (tmp_path / "cut_off_calls.py").write_text(CALLS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "token").write_text(secrets.token_hex(32))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    ray = str(Path(sys.executable).with_name("ray"))
    (head, first), (other, second) = hosts
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    common = ["--num-cpus", "2", "--block", "--temp-dir"]
    # Short: Ray's sockets lie there.
    folders = [f"/tmp/{name}" for name, _ in hosts]
    starts = [
        [head, ray, "start", "--head", "--port", "6379", "--include-dashboard", "false"],
        [other, ray, "start", "--address", f"{first}:6379"],
    ]
    for words, (_, mine), folder in zip(starts, hosts, folders, strict=True):
        subprocess.Popen(
            ["ip", "netns", "exec", *words, "--node-ip-address", mine, *common, folder],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(10)
    yield f"{first}:6379"
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def test_calls_on_a_host_that_is_cut_off_are_lost_and_the_others_go_on(hosts, address, tmp_path):
    (head, first), (other, second) = hosts
    cut = ["nsenter", f"--net=/run/netns/{other}", "ip", "link", "set", "eth0", "down"]
    words = ["ip", "netns", "exec", head, sys.executable, "-c", LAUNCH, address, str(tmp_path)]
    done = subprocess.run([*words, *cut], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
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
