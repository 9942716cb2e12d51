"""Hosts of a test on this machine, joined by a network of their own.

A host has its own network, processes, host name, mounts and folder for what is local to it; the
disk is shared with all others. Its first process is an init. Hosts are joined by a bridge that is
in a namespace of its own, so several networks may have the same addresses at once, and none of
them is one of this machine's. Nothing has a name that outlives it: the kernel takes everything
back with the init, which ends when this process does, however that ends.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psutil

MARK = "DELTASCALE_TESTS_OWNER"
"""The variable in an init's environment that names whose it is: process id and start."""
NEEDED = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux", "tini": "tini"}
"""Command -> Debian's package that has it."""
PREFIX = "10.77.0."
TICK = threading.Event()
"""Never set: `TICK.wait` is a pause between two looks."""


def missing_packages(needed=NEEDED, path=None):
    """List Debian's packages that have the commands this machine lacks."""
    absent = {name for name in needed if shutil.which(name, path=path) is None}
    return sorted({needed[name] for name in absent})


def install_missing(needed=NEEDED, path=None):
    """Install the packages that are absent, where this process may."""
    packages = missing_packages(needed, path)
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages]
        for words in (["apt-get", "update", "-qq"], install):
            subprocess.run(words, env=quiet, stdin=subprocess.DEVNULL, check=True)


def what_is_missing(needed=NEEDED, path=None):
    """Return one sentence on what this machine lacks for hosts, or None."""
    if os.geteuid() != 0:
        return "hosts of their own are made by root alone: run it as root"
    if absent := missing_packages(needed, path):
        return f"hosts of their own need {', '.join(absent)}: apt-get install {' '.join(absent)}"
    tried = subprocess.run(["unshare", "--net", "--pid", "--fork", "true"], capture_output=True)
    if tried.returncode != 0:
        return f"this machine lets nobody make hosts: {tried.stderr.decode().strip()}"
    return None


def owner():
    """Name this process so that no later one is taken for it."""
    return f"{os.getpid()}-{psutil.Process().create_time()}"


def is_alive(named):
    """Return whether the process that `owner` named still is."""
    pid, _, started = named.partition("-")
    with contextlib.suppress(psutil.Error):
        return f"{psutil.Process(int(pid)).create_time()}" == started
    return False


def sweep():
    """End hosts and remove folders of owners that are dead."""
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            named = process.environ().get(MARK) if process.info["name"] == "tini" else None
            if named is not None and not is_alive(named):
                process.kill()
    for marker in Path(tempfile.gettempdir()).glob("hosts-*/owner"):
        if not is_alive(marker.read_text()):
            shutil.rmtree(marker.parent, ignore_errors=True)


class Host:
    """One host: where its processes run, and what of it is its own."""

    def __init__(self, name, address, folder):
        self.name, self.address = name, address
        self.local = folder / "local"
        """A path that every host has, and behind which each has a folder of its own."""
        self._folder = folder
        (folder / name).mkdir(exist_ok=True)
        kinds = ["--net", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]
        # The kernel ends `unshare` with this process, and the init with `unshare`.
        self._unshare = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", *kinds, "tini", "--", "sleep", "inf"],
            env={**os.environ, MARK: owner()},
            stdin=subprocess.DEVNULL,
        )
        self.init = self._first_process()
        """The id of its init, as this machine counts."""
        self._waited_for = psutil.Process(self.init).children()

    def _first_process(self):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for child in psutil.Process(self._unshare.pid).children():
                if child.name() == "tini":
                    return child.pid
            TICK.wait(0.01)
        raise AssertionError(f"host {self.name} has not started")

    def words(self, *command):
        """Return the words that run a command here, in the folder this process is in."""
        enter = ["nsenter", "--target", str(self.init), "--mount", "--uts", "--net", "--pid"]
        with_parent = ["setpriv", "--pdeathsig", "KILL"]
        return [*with_parent, *enter, *with_parent, "env", f"--chdir={os.getcwd()}", *command]

    def run(self, *command, timeout=60, **options):
        """Run a command here to its end; returns it with what it wrote, as text."""
        captured = {"capture_output": True, "text": True, "timeout": timeout}
        return subprocess.run(self.words(*command), **{**captured, **options})

    def start(self, *command, **options):
        """Start a command here; it is ended by any signal to `Popen`, and with this process."""
        return subprocess.Popen(self.words(*command), **options)

    def call(self, *command):
        """Run a command that has to go well."""
        done = self.run(*command)
        assert done.returncode == 0, f"{self.name}: {' '.join(command)}: {done.stderr}"
        return done.stdout

    def processes(self):
        """List the host's processes but its init and what that waits for, as seen from outside."""
        here = os.readlink(f"/proc/{self.init}/ns/pid")
        own = {self.init, *(child.pid for child in self._waited_for)}
        listed = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{process.pid}/ns/pid") == here and process.pid not in own:
                    listed.append(process)
        return listed

    def kill(self):
        """Take its power: every process of it ends at once, its network with them."""
        self._unshare.kill()
        self._unshare.wait(30)
        until = time.monotonic() + 30
        with contextlib.suppress(psutil.NoSuchProcess):
            while psutil.Process(self.init).status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < until, f"host {self.name} does not end"
                TICK.wait(0.01)


class Network:
    """Hosts by name, each able to reach all others; a context manager that ends them all."""

    def __init__(self, *names):
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix="hosts-"))
        """A folder of the network's own, which all hosts see and which goes with it."""
        (self.folder / "owner").write_text(owner())
        (self.folder / "local").mkdir()
        self.hosts: dict[str, Host] = {}
        """Name -> host."""
        self._switch = None
        try:
            self._start(names)
        except BaseException:
            self.close()
            raise

    def _start(self, names):
        self._switch = Host("switch", f"{PREFIX}1", self.folder)
        self._switch.call("ip", "link", "add", "bridge", "type", "bridge")
        self._switch.call("ip", "address", "add", f"{PREFIX}1/24", "dev", "bridge")
        self._switch.call("ip", "link", "set", "bridge", "up")
        addresses = {name: f"{PREFIX}{10 + number}" for number, name in enumerate(names, 1)}
        lines = [f"{address} {name}" for name, address in addresses.items()]
        (self.folder / "names").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
        for name, address in addresses.items():
            host = self.hosts[name] = Host(name, address, self.folder)
            self._connect(host)

    def _connect(self, host):
        cable = f"to-{host.name}"
        peer = ["peer", "name", "eth0", "netns", str(host.init)]
        add = ["ip", "link", "add", cable, "type", "veth", *peer]
        # Names of processes are this machine's here, as they are not among the switch's own.
        subprocess.run(["nsenter", "--target", str(self._switch.init), "--net", *add], check=True)
        self._switch.call("ip", "link", "set", cable, "master", "bridge", "up")
        host.call("hostname", host.name)
        host.call("mount", "--bind", f"{self.folder}/names", "/etc/hosts")
        host.call("mount", "--bind", f"{self.folder}/{host.name}", str(host.local))
        host.call("ip", "address", "add", f"{host.address}/24", "dev", "eth0")
        host.call("ip", "link", "set", "lo", "up")
        host.call("ip", "link", "set", "eth0", "up")

    def cut(self, name):
        """Pull a host's cable: it reaches nobody, nobody reaches it, and no connection is told."""
        self._switch.call("ip", "link", "set", f"to-{name}", "down")

    def restore(self, name):
        """Plug a host's cable in again."""
        self._switch.call("ip", "link", "set", f"to-{name}", "up")

    def separate(self, name, *others, answer="blackhole"):
        """Let a host and others not reach each other, but all the rest.

        `answer`: what a sender hears: nothing (`blackhole`), or at once that there is no way
        (`unreachable`).
        """
        for one, other in self._pairs(name, others):
            one.call("ip", "route", "add", answer, f"{other.address}/32")

    def rejoin(self, name, *others):
        """Let them reach each other again."""
        for one, other in self._pairs(name, others):
            one.call("ip", "route", "del", f"{other.address}/32")

    def _pairs(self, name, others):
        host = self.hosts[name]
        there = [self.hosts[other] for other in others]
        return [(host, other) for other in there] + [(other, host) for other in there]

    def close(self):
        """End every host and remove the folder."""
        for host in (*self.hosts.values(), *filter(None, [self._switch])):
            host.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()
