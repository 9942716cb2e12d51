"""A Ray over several hosts of one machine, and an object storage that all of them reach."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from xml.etree import ElementTree

import psutil

from tests.network_namespaces import TICK, Network

STUDY = Path(__file__).parent / "three_hosts.yaml"
BUCKET = "results"
_PORT = 6379
_STORE_PORT = 5000
_LINE_PORT = 5001
_LONGEST_S = 420
_HIDDEN = ("AWS_", "RAY_", "DELTASCALE_", "HF_TOKEN", "WANDB_")
_SIGNED = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host"
ASK = f"""
import sys, urllib.request
signed = {{"Authorization": "{_SIGNED}, Signature=0"}}
request = urllib.request.Request(sys.argv[2], method=sys.argv[1], headers=signed)
with urllib.request.urlopen(request, timeout=30) as answer:
    sys.stdout.buffer.write(answer.read())
"""
"""The storage checks no signature, and gives nobody anything who shows none."""


class BadLine:
    """The proxy of `bad_line.py`, in a process that was started with pipes."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.port, self._process = port, process
        assert process.stdout.readline() == "ready\n"

    @staticmethod
    def words(port: int, host: str, target: int) -> list[str]:
        """Return the words, after the interpreter, that run it."""
        return ["-m", "tests.hosts.bad_line", str(port), host, str(target)]

    def tell(self, order: str) -> int:
        """Give it an order, and return how many connections it has had."""
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


class Site:
    """Hosts `one`, `two`, … of some CPUs each, with a host `store` that runs an object storage."""

    def __init__(self, network: Network, *, cpus=1, has_lines=False):
        self.network, self.folder = network, network.folder
        self.store = network.hosts.get("store")
        self.hosts = {name: host for name, host in network.hosts.items() if name != "store"}
        self.cpus = cpus
        self.endpoint = f"http://{self.store.address}:{_STORE_PORT}" if self.store else ""
        self.variables: dict[str, dict[str, str]] = {name: {} for name in self.hosts}
        """Host -> variables of its own."""
        self.paths = [text] if (text := os.environ.get("PYTHONPATH")) else []
        """Where processes of all hosts find modules besides."""
        self.cores: dict[str, str] = {}
        """Host -> the cores of this machine that it may use, as `taskset` writes them; all."""
        self._token = self.folder / "token"
        self._token.write_text(secrets.token_hex(32))
        self.nodes: dict[str, subprocess.Popen] = {}
        """Host -> what its part of the Ray runs in."""
        self.head, self.python = "one", sys.executable
        self.lines: dict[str, BadLine] = {}
        """Host -> what is between it and the storage, where anything is."""
        for name in self.hosts if has_lines else ():
            self.lines[name] = self._line(name)

    @property
    def address(self) -> str:
        """Where the head of the Ray is."""
        return f"{self.hosts[self.head].address}:{_PORT}"

    def _line(self, name: str) -> BadLine:
        words = BadLine.words(_LINE_PORT, self.store.address, _STORE_PORT)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        line = BadLine(self.hosts[name].start(sys.executable, *words, **pipes), _LINE_PORT)
        self.variables[name]["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{_LINE_PORT}"
        return line

    def environment(self, name: str) -> dict[str, str]:
        """What processes of a host have around them."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_HIDDEN)}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join(self.paths),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "AKIANOTTOBEWRITTEN00",
            "AWS_SECRET_ACCESS_KEY": "secretNotToBeWritten/+0123456789",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "RAY_AUTH_TOKEN_PATH": str(self._token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "WANDB_MODE": "offline",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
            "TMPDIR": str(self.hosts[name].local),
            **self.variables[name],
        }

    def give_other_networks(self) -> None:
        """Give every host what many have: a bridge of containers, and a name that means loopback.

        All bridges have the same address; to be called before `start`.
        """
        for host in self.hosts.values():
            host.call("ip", "link", "add", "docker0", "type", "bridge")
            host.call("ip", "address", "add", "172.17.0.1/16", "dev", "docker0")
            host.call("ip", "link", "set", "docker0", "up")
        lines = ["127.0.0.1 localhost", *(f"127.0.1.1 {name}" for name in self.hosts), ""]
        (self.network.folder / "names").write_text("\n".join(lines))

    def slow(self, name: str, rate: str) -> None:
        """Let a host send so much a second at most (`1mbit`), to whomever."""
        limit = ("tbf", "rate", rate, "burst", "32kbit", "latency", "400ms")
        self.hosts[name].call("tc", "qdisc", "replace", "dev", "eth0", "root", *limit)

    def quicken(self, name: str) -> None:
        """Let a host send as fast as it can again."""
        self.hosts[name].call("tc", "qdisc", "del", "dev", "eth0", "root")

    def reset(self, name: str, *others: str) -> None:
        """Break every TCP connection between a host and others: both ends are told."""
        for other in others:
            self.hosts[name].call("ss", "-K", "dst", self.hosts[other].address)

    def start(self) -> None:
        """Start the storage, and a Ray that asks for a token on every host."""
        words = [sys.executable, "-m", "moto.server", "-H", "0.0.0.0", "-p", str(_STORE_PORT)]
        self.store.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._until(lambda: self._asks(self.endpoint), 60)
        self._request("PUT", f"{self.endpoint}/{BUCKET}")
        self.start_ray()

    def start_ray(self) -> None:
        """Start the Ray alone, and wait until it has all hosts."""
        for name in self.hosts:
            self.start_node(name)
        self._until(lambda: len(self.living()) == len(self.hosts), 120)

    def living(self) -> list[str]:
        """List the addresses of the nodes that Ray takes for alive."""
        code = (
            f"import ray; ray.init('{self.address}', logging_level=50, log_to_driver=False); "
            "print(*(n['NodeManagerAddress'] for n in ray.nodes() if n['Alive']))"
        )
        environment = {**self.environment(self.head), "RAY_AUTH_MODE": "token"}
        words = (self.python, "-c", code)
        return self.hosts[self.head].run(*words, env=environment, timeout=200).stdout.split()

    def start_node(self, name: str) -> None:
        """Start a host's part of the Ray; the head's first, and wait until it takes nodes."""
        host = self.hosts[name]
        ray = str(Path(sys.executable).with_name("ray"))
        role = ["--head", f"--port={_PORT}", "--include-dashboard=false"]
        role = role if name == self.head else [f"--address={self.address}"]
        self.nodes[name] = host.start(
            *self._on_cores(name),
            *(ray, "start", "--block", f"--node-ip-address={host.address}", *role),
            *(f"--num-cpus={self.cpus}", "--object-store-memory=100000000"),
            f"--temp-dir={host.local}/r",
            env={**self.environment(name), "RAY_AUTH_MODE": "token"},
            stdout=(self.folder / f"ray-{name}.txt").open("w"),
            stderr=subprocess.STDOUT,
        )
        if name == self.head:
            address = f"{host.address}', {_PORT}"
            code = f"import socket; socket.create_connection(('{address}), 5)"
            self._until(lambda: host.run(sys.executable, "-c", code).returncode == 0, 60)

    def launch(self, study, *words: str, on="one", root=f"s3://{BUCKET}/root", ray=True):
        """Begin a launch on a host; returns the process, whose streams are pipes."""
        joined = ["--address", self.address] if ray else []
        return self.hosts[on].start(
            *self._on_cores(on),
            *(sys.executable, "-m", "orchestrator.cli", "launch", str(study)),
            *("--root", str(root), *joined, *words),
            env=self.environment(on),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, *words: str, on="one", root=f"s3://{BUCKET}/root") -> str:
        """Run another verb on a host, and return what it printed."""
        words = (sys.executable, "-m", "orchestrator.cli", *words, "--root", str(root))
        done = self.hosts[on].run(*words, env=self.environment(on), timeout=_LONGEST_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def names(self) -> list[str]:
        """Names of all that is stored, below the root."""
        names: list[str] = []
        more = ""
        while True:
            answer = self._request("GET", f"{self.endpoint}/{BUCKET}?list-type=2{more}")
            page = list(ElementTree.fromstring(answer).iter())
            names += [(each.text or "").removeprefix("root/") for each in page if _is(each, "Key")]
            further = [each.text or "" for each in page if _is(each, "NextContinuationToken")]
            if not further:
                return names
            more = f"&continuation-token={urllib.parse.quote(further[0])}"

    def stored(self, kind: str, end: str) -> list[str]:
        """List what jobs of a kind have stored whose names end so."""
        names = self.names()
        return [name for name in names if f"artifacts/{kind}/" in name and name.endswith(end)]

    def read(self, name: str) -> str:
        """Read one of them."""
        return self._request("GET", f"{self.endpoint}/{BUCKET}/root/{urllib.parse.quote(name)}")

    def events(self, study="three-hosts") -> list[dict]:
        """Read all that the ledger of a study holds, in the order of time."""
        ledger = f"studies/{study}/ledger/"
        lines = [
            line
            for name in self.names()
            if name.startswith(ledger)
            for line in self.read(name).splitlines()
        ]
        return sorted(map(json.loads, lines), key=lambda event: event["at"])

    def ranks_on(self) -> list[str]:
        """List the hosts that processes of a gang's ranks run on."""
        return [name for name in self.hosts if "RayTrainWorker" in self.tasks_on(name)]

    def tasks_on(self, name: str) -> list[str]:
        """List what tasks and actors of Ray run on a host, by their names."""
        tasks = []
        for process in self.hosts[name].processes():
            with contextlib.suppress(psutil.Error, IndexError):
                title = process.cmdline()[0]
                if title.startswith("ray::") and title != "ray::IDLE":
                    tasks.append(title.removeprefix("ray::").partition(".")[0])
        return tasks

    def tables(self, study="three-hosts") -> dict[str, str]:
        """Read all tables of a study, by their names."""
        folder = f"studies/{study}/tables/table/"
        return {
            name.removeprefix(folder): self.read(name)
            for name in self.names()
            if name.startswith(folder) and not name.endswith(".parquet")
        }

    def wait_for(self, launch, condition, within_s=_LONGEST_S) -> None:
        """Wait until something holds while a launch runs."""
        until = time.monotonic() + within_s
        while not condition():
            assert launch.poll() is None, launch.communicate()
            assert time.monotonic() < until, "it never came to that"
            TICK.wait(0.2)

    def finish(self, launch) -> str:
        """Wait for the end of a launch that completes, and return what it printed."""
        try:
            out, err = launch.communicate(timeout=_LONGEST_S)
        except subprocess.TimeoutExpired as late:
            tasks = {name: self.tasks_on(name) for name in self.hosts}
            raise AssertionError(f"it goes on: {tasks}, {self.events()[-12:]}, {late}") from late
        assert launch.returncode == 0, out + err
        assert "Traceback" not in out + err
        return out + err

    def _on_cores(self, name: str) -> list[str]:
        return ["taskset", "--cpu-list", self.cores[name]] if name in self.cores else []

    def _request(self, method: str, url: str) -> str:
        return self.store.call(sys.executable, "-c", ASK, method, url)

    def _asks(self, url: str) -> bool:
        return self.store.run(sys.executable, "-c", ASK, "GET", url).returncode == 0

    def _until(self, condition, within_s: float) -> None:
        until = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < until, "it did not start"
            TICK.wait(0.2)


def _is(element: ElementTree.Element, name: str) -> bool:
    return element.tag.endswith(f"}}{name}")
