"""Starts a site, runs commands as a user at its login host would, and takes nodes away."""

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import psutil

from tests import network_namespaces
from tests.network_namespaces import TICK, Host, Network
from tests.slurm_site.configuration import Site, write

NEEDED = {
    **network_namespaces.NEEDED,
    "munged": "munge",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
}
"""Command -> Debian's package that has it."""
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def what_is_missing() -> str | None:
    """Return one sentence on what this machine lacks for a site, or None."""
    return network_namespaces.what_is_missing(NEEDED, path=PATH)


class RunningSite:
    """A site that runs: `command` is a user at its login host."""

    def __init__(self, site: Site, hosts: Network) -> None:
        self.site, self.folder = site, hosts.folder
        self.hosts = hosts
        self.nodes = dict(hosts.hosts)
        self.login = self.nodes.pop("login")
        self.environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("SLURM_")},
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": PATH,
        }
        self.daemons: dict[str, subprocess.Popen[str]] = {}
        self._hurried: set[tuple[str | int, str]] = set()

    def start(self) -> None:
        """Start munge, the controller and a slurmd on each node; wait until nodes are idle."""
        for node in self.nodes.values():
            # A short path, as sites have for what is local to a node.
            node.call("mount", "--bind", str(node.local), "/mnt")
        addresses = {name: node.address for name, node in self.nodes.items()}
        write(self.site, self.folder, addresses, f"{self.login.name}({self.login.address})")
        for name in ("state", *(f"spool.{name}" for name in self.nodes)):
            (self.folder / name).mkdir()
        self._start_munge()
        self.start_controller()
        for name in self.nodes:
            self.start_slurmd(name)
        self.wait_for_nodes("idle")

    def _start_munge(self) -> None:
        key, socket = self.folder / "munge.key", self.folder / "munge.socket"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        own = [f"--{what}-file={self.folder}/munge.{what}" for what in ("log", "pid", "seed")]
        options = ["--foreground", "--force", f"--key-file={key}", f"--socket={socket}", *own]
        self._start("munged", self.login, "munged", *options)
        self.wait_until(lambda: socket.exists(), "munge listens", 30)

    def start_controller(self) -> None:
        """Start slurmctld at the login host."""
        self._start("slurmctld", self.login, "slurmctld", "-D")
        self.wait_until(lambda: self.command("scontrol", "ping").returncode == 0, "slurmctld", 30)

    def start_slurmd(self, name: str) -> None:
        """Start a node's slurmd."""
        self._start(f"slurmd {name}", self.nodes[name], "slurmd", "-D", "-N", name)

    def _start(self, name: str, host: Host, *words: str) -> None:
        with (self.folder / f"{name.replace(' ', '.')}.out").open("a") as out:
            options = {"env": self.environment, "stdin": subprocess.DEVNULL}
            self.daemons[name] = host.start(*words, stdout=out, stderr=out, **options)

    def kill_slurmd(self, name: str) -> None:
        """Kill a node's slurmd and all of its jobs, as a crash of the node would."""

        def are_gone() -> bool:
            left = self.nodes[name].processes()
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            return not left

        self.wait_until(are_gone, f"no process is left on {name}", 30)
        self.daemons[f"slurmd {name}"].wait(30)

    def set_node(self, name: str, state: str) -> None:
        """Have the administrator say a node's state: `down`, `drain`, `resume`."""
        self.checked("scontrol", "update", f"nodename={name}", f"state={state}", "reason=test")

    def command(self, *words: str, timeout: float = 60, **options) -> subprocess.CompletedProcess:
        """Run a command at the login host to its end; the environment may be added to by `env`."""
        environment = {**self.environment, **options.pop("env", {})}
        captured = {"capture_output": True, "text": True, "check": False, "timeout": timeout}
        words = self.login.words(*words)
        return subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, **captured, **options
        )

    def checked(self, *words: str, **options) -> str:
        """Run a command that has to go well; returns what it printed."""
        done = self.command(*words, **options)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def job(self, number: str | int) -> dict:
        """Return what the controller knows of a job, by the names of `scontrol show job`."""
        shown = self.checked("scontrol", "--oneliner", "show", "job", str(number))
        return dict(word.split("=", 1) for word in shown.split() if "=" in word)

    def state(self, number: str | int) -> str:
        """Return a job's state, in SLURM's word."""
        return self.job(number)["JobState"]

    def alive(self, number: str | int) -> str | None:
        """Return the state of a job that is in the queue; None where it has ended, or aged out."""
        words = ("squeue", "--noheader", f"--jobs={number}", "--format=%T")
        said = self.command(*words).stdout.split()
        return said[0] if said else None

    def jobs(self) -> list[dict]:
        """List the jobs that the queue shows, ended ones too, as `squeue --json` has them."""
        return json.loads(self.checked("squeue", "--json"))["jobs"]

    def wait_for(self, number: str | int, *states: str, limit_s: float = 120) -> str:
        """Wait until a job is in one of these states; returns which."""
        self.wait_until(lambda: self.state(number) in states, f"job {number} is {states}", limit_s)
        return self.state(number)

    def hurry(self, number: str | int) -> None:
        """Let a job that was queued again start in 10 seconds; SLURM makes it wait for two minutes.

        At once would be too soon: a node takes it for the start before, which was ended there.
        """
        job = self.job(number)
        start = (number, job["Restarts"])
        if (
            job["JobState"] == "PENDING"
            and job["Reason"] == "BeginTime"
            and start not in self._hurried
        ):
            self._hurried.add(start)
            self.command("scontrol", "update", f"JobId={number}", "StartTime=now+10")

    def wait_for_nodes(self, state: str, limit_s: float = 60) -> None:
        """Wait until `sinfo` says this state of every node."""

        def all_are() -> bool:
            listed = self.checked("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()
            return {line.split()[1] for line in listed} == {state}

        self.wait_until(all_are, f"all nodes are {state}", limit_s)

    def wait_until(self, is_so, what: str, limit_s: float) -> None:
        """Look again and again until something is so; say what was waited for when it is not."""
        until = time.monotonic() + limit_s
        while not is_so():
            assert time.monotonic() < until, f"waited {limit_s:g} s: {what}\n{self.logs()}"
            for name, daemon in self.daemons.items():
                assert daemon.poll() in (None, -9, 137), f"{name} has ended\n{self.logs()}"
            TICK.wait(0.2)

    def logs(self) -> str:
        """Return the last lines of each daemon's log."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {file.name}\n" + "\n".join(_said(file)[-10:]) for file in files)


def _said(log: Path) -> list[str]:
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if "mpi" not in line.lower()]  # there is none


@contextlib.contextmanager
def running(site: Site | None = None):
    """Run a site in a folder of its own; all of it ends here, or with this process."""
    site = site or Site()
    if (missing := what_is_missing()) is not None:
        raise RuntimeError(missing)
    with Network("login", *site.nodes) as hosts:
        # A cluster's folders are seen by all users, as are its commands' sockets.
        hosts.folder.chmod(0o755)
        running = RunningSite(site, hosts)
        running.start()
        yield running
