"""Entry points that look after processes of a job on their own node: evidence first, then the end.

They run beside the job, in a process of their own, because one that hangs cannot help. Nothing
heavy is imported, and the storage is tried by a process that may be left behind.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from cluster.executor import Surroundings
from cluster.machine.process_stat import process_stat
from jobs.liveness.stacks import dump_of, stack_of

INSPECT = "jobs.liveness.inspection:inspect"
"""Entry point that gathers evidence."""
GLANCE = "jobs.liveness.inspection:glance"
"""Entry point that asks the kernel alone."""
END = "jobs.liveness.inspection:end"
"""Entry point that kills."""
_PY_SPY_S = 20.0
_COMPUTES_SHARE = 0.05
_STORAGE_S = 5.0
"""How long a small write to the root may take on a node before it counts as away from there."""
_LOOK_S = 2.0
"""How long a process is looked at: its stacks again and again, and its processor time."""


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """One process that is looked after."""

    rank: int
    """Its rank."""
    pid: int
    """Its number on its node."""
    started: int
    """When it started, in ticks since the boot: another process may have its number by now."""
    thread: int = 0
    """Its thread that does the work, as Python numbers it; 0 where not known."""
    heartbeat: str = ""
    """File of its heartbeat in the attempt, as a path on its node; empty where it has none."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a look at one process showed; what could not be seen is None or empty."""

    rank: int
    """Its rank."""
    node: str
    """Its node."""
    pid: int
    """Its number."""
    state: str | None = None
    """The kernel's letter for its state: R runs, S sleeps, D waits for a disk, T is stopped."""
    cpu_s: float | None = None
    """Processor time it has used, in seconds."""
    cpu_share: float | None = None
    """Processors it kept busy while it was looked at."""
    is_root_away: bool = False
    """Whether the root took no write on its node."""
    stacks: str | None = None
    """Stacks of its threads in Python, as it wrote them on a signal."""
    places: Sequence[str] = field(default_factory=tuple)
    """Where the thread that does the work was in Python, at several moments: a digest of each
    stack that was seen. One alone: it did not get on meanwhile."""
    native: str | None = None
    """The same with frames of libraries, where py-spy is installed and may look."""
    threads: Sequence[str] = field(default_factory=tuple)
    """Each of its threads: number, name, state, and where in the kernel it waits."""

    @property
    def is_gone(self) -> bool:
        """Whether there is no such process."""
        return self.state in (None, "X", "Z")

    @property
    def computes(self) -> bool:
        """Whether it used a processor, more than one that waits and looks now and then."""
        return (self.cpu_share or 0.0) > _COMPUTES_SHARE

    @property
    def reads(self) -> bool:
        """Whether it waited for a disk: a library that reads may keep Python from beating."""
        return self.state == "D"

    @property
    def is_stopped(self) -> bool:
        """Whether somebody stopped it: it can neither work nor answer."""
        return self.state in ("T", "t")

    @property
    def is_stopped_by_signal(self) -> bool:
        """Whether a signal stopped it, no debugger: it goes on by nothing but a SIGCONT."""
        return self.state == "T"


def inspection_payload(suspects: Sequence[Suspect], probe: str | None) -> str:
    """Write what `inspect` and `end` are given.

    Args:
        suspects: the processes on one node.
        probe: a file on the root that may be written to see whether the root answers there; None
            for a root that is no folder.
    """
    return json.dumps({"suspects": [asdict(one) for one in suspects], "probe": probe})


def read_findings(answer: str) -> list[Finding]:
    """Read what `inspect` returned."""
    return [Finding(**finding) for finding in json.loads(answer)]


def inspect(payload: str, surroundings: Surroundings) -> str:
    """Gather what can be seen of processes on this node; changes nothing but for a dump signal."""
    given = json.loads(payload)
    suspects = [Suspect(**one) for one in given["suspects"]]
    with ThreadPoolExecutor(len(suspects) + 1) as pool:  # each look mostly waits
        takes_writes = pool.submit(lambda: given["probe"] is None or _takes_writes(given["probe"]))
        findings = [*pool.map(lambda one: _look_at(one, surroundings.node), suspects)]
        is_away = not takes_writes.result()
    return json.dumps([asdict(replace(one, is_root_away=is_away)) for one in findings])


def glance(payload: str, surroundings: Surroundings) -> str:
    """Return as findings what the kernel says of processes on this node; waits for nothing."""
    findings = []
    for one in (Suspect(**one) for one in json.loads(payload)["suspects"]):
        stat = process_stat(one.pid) if _is_same(one) else None
        known = {} if stat is None else {"state": stat.state, "cpu_s": stat.cpu_s}
        findings.append({"rank": one.rank, "node": surroundings.node, "pid": one.pid, **known})
    return json.dumps(findings)


def end(payload: str, surroundings: Surroundings) -> str:
    """Kill processes on this node that are still at the attempt; return the ranks of those."""
    killed = []
    for one in (Suspect(**one) for one in json.loads(payload)["suspects"]):
        if _is_same(one) and not _is_through(one):
            with contextlib.suppress(OSError):
                os.kill(one.pid, signal.SIGKILL)
                killed.append(one.rank)
    return json.dumps(killed)


def _look_at(suspect: Suspect, node: str) -> Finding:
    common: dict[str, Any] = {"rank": suspect.rank, "node": node, "pid": suspect.pid}
    if not _is_same(suspect):
        return Finding(**common)
    before, began = process_stat(suspect.pid), time.monotonic()
    is_stopped = before is not None and before.is_stopped
    native = None if is_stopped else _by_py_spy(suspect.pid)
    stacks, places = None, set[str]()
    while not is_stopped and (dump := dump_of(suspect.pid)) is not None:
        stacks = dump
        places.add(sha256(stack_of(suspect.thread, dump).encode()).hexdigest()[:16])
        if time.monotonic() - began > _LOOK_S:
            break
    time.sleep(max(0.0, _LOOK_S - (time.monotonic() - began)))
    after, seconds = process_stat(suspect.pid), time.monotonic() - began
    share = None
    if before is not None and after is not None:
        share = round((after.cpu_s - before.cpu_s) / seconds, 3)
    return Finding(
        **common,
        state=None if after is None else after.state,
        cpu_s=None if after is None else after.cpu_s,
        cpu_share=share,
        stacks=stacks,
        places=sorted(places),
        native=native,
        threads=_threads(suspect.pid),
    )


def _is_same(suspect: Suspect) -> bool:
    stat = process_stat(suspect.pid)
    return stat is not None and suspect.started in (0, stat.started)


def _is_through(suspect: Suspect) -> bool:
    """Tell whether a process has said that it is done with the attempt: it may be at another."""
    if not suspect.heartbeat:
        return False
    try:
        return json.loads(Path(suspect.heartbeat).read_bytes()).get("is_over") is True
    except (OSError, ValueError, AttributeError):
        return False


def _threads(pid: int) -> list[str]:
    lines = []
    with contextlib.suppress(OSError):
        for task in sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda path: int(path.name)):
            with contextlib.suppress(OSError):
                name = (task / "comm").read_text().strip()
                stat = process_stat(pid, int(task.name))
                if stat is not None:
                    text = f"thread {task.name} {name}: {stat.state} {_waits_in(task)}"
                    lines.append(text.rstrip())
    return lines


def _waits_in(task: Path) -> str:
    """Return the kernel's function that a thread waits in, where the kernel tells it."""
    with contextlib.suppress(OSError):
        where = (task / "wchan").read_text().strip()
        return "" if where in ("", "0") else f"in {where}"
    return ""


def _by_py_spy(pid: int) -> str | None:
    """Return stacks with native frames, where py-spy is installed and the system lets it look."""
    program = shutil.which("py-spy") or shutil.which("py-spy", path=os.path.dirname(sys.executable))
    if program is None:
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [program, "dump", "--native", "--pid", str(pid)],
            capture_output=True,
            timeout=_PY_SPY_S,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "backslashreplace")
    return None


def _takes_writes(probe: str) -> bool:
    """Tell whether a file can be written, asked in a process that may hang without harm."""
    code = (
        "import os, sys; path = sys.argv[1]; "
        "opened = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666); "
        "os.write(opened, b'0'); os.close(opened); os.remove(path)"
    )
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, probe],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return child.wait(_STORAGE_S) == 0
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            child.kill()  # it may be waiting for a disk: then it ends when that answers
        return False


def describe(finding: Finding, heartbeat: Mapping[str, object]) -> str:
    """Return what is kept of a look at one process, as text for people."""
    head = {name: value for name, value in heartbeat.items() if value is not None}
    lines = [
        f"rank {finding.rank} on {finding.node}, process {finding.pid}, "
        f"seen {time.strftime('%Y-%m-%d %H:%M:%S')}",
        f"state: {_STATES.get(finding.state or '', finding.state or 'gone')}; "
        f"processor time {finding.cpu_s} s, {finding.cpu_share} processors busy while it was seen"
        + (f", in {len(finding.places)} place(s) of its code" if finding.places else ""),
        f"last heartbeat: {json.dumps(head)}",
    ]
    if finding.is_root_away:
        lines.append("the root takes no write on this node")
    lines += ["", "threads, as the kernel has them", *finding.threads]
    if finding.stacks:
        lines += ["", "stacks in Python, of the process itself", finding.stacks]
    elif not finding.is_gone:
        why = "it is stopped" if finding.is_stopped else "it did not answer the signal"
        lines += ["", f"no stacks in Python: {why}"]
    if finding.native:
        lines += ["", "stacks with frames of libraries, by py-spy", finding.native]
    return "\n".join(lines) + "\n"


_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting for a device or file system",
    "T": "stopped by a signal",
    "t": "stopped by a debugger",
    "Z": "ended",
    "X": "ended",
}
