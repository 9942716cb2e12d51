"""Hosts of tests: apart from each other and from this machine, and gone with their owner."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.network_namespaces import MARK, TICK, Network, sweep

pytestmark = pytest.mark.slurm
CONNECT = "import socket; socket.create_connection(('two', 22), 2)"
KILLED = """\
import os, signal
from tests.network_namespaces import Network
network = Network("one")
network.hosts["one"].start("sleep", "1000")
print(network.folder, network.hosts["one"].init, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def network():
    with Network("one", "two") as network:
        yield network


def is_gone(pid):
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        TICK.wait(0.01)
    return False


def test_each_host_has_a_name_processes_and_a_local_folder_of_its_own(network) -> None:
    one, two = network.hosts.values()
    assert [host.call("hostname").strip() for host in (one, two)] == ["one", "two"]
    assert os.uname().nodename not in ("one", "two")
    one.call("touch", str(one.local / "file"))
    assert two.call("ls", str(two.local)) == ""
    assert one.call("ls", str(one.local)) == "file\n"
    sleeper = one.start("sleep", "1000")
    assert not [process for process in two.processes() if "1000" in process.cmdline()]
    assert "sleep 1000" not in two.call("ps", "-A", "-o", "args=")
    one.kill()
    assert sleeper.wait(10) != 0 and is_gone(one.init) and psutil.pid_exists(two.init)


def test_a_host_is_reached_until_it_is_cut_off_and_again_after(network) -> None:
    def why_not():
        return network.hosts["one"].run(sys.executable, "-c", CONNECT).stderr.splitlines()[-1]

    assert "refused" in why_not()
    network.cut("two")
    assert "refused" not in why_not()
    network.restore("two")
    assert "refused" in why_not()


def test_hosts_end_with_a_killed_owner_and_its_folder_goes_at_the_next_sweep() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    folder, init = done.stdout.split()
    assert is_gone(int(init)) and Path(folder).exists()
    with Network() as living:
        sweep()
        assert not Path(folder).exists() and living.folder.exists()


def test_an_init_that_outlived_its_owner_is_ended_by_a_sweep() -> None:
    left = subprocess.Popen(["tini", "--", "sleep", "1000"], env={**os.environ, MARK: "1-0.5"})
    TICK.wait(0.2)
    sweep()
    assert left.wait(10) != 0
