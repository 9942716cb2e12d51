"""May jobs open enough files, start enough processes, compute long enough, and lock memory?"""

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.fitness.looking import Answer
from orchestrator.doctor.answers import alike, at, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, warning
from orchestrator.doctor.site import Site

_LOOK = "cluster.fitness.looks.limits:look"
_FEW_FILES, _MANY_FILES = 1024, 4096
"""A worker with a store, sockets and loaders holds some hundred descriptors; Ray asks for 65,536
and warns below 4,096."""
_FEW_PROCESSES, _MANY_PROCESSES = 200, 1000
"""Threads count: a worker of Ray has about 60 before torch adds one for each core."""
_FILES = "raise it where Ray is started: `ulimit -n 65536`, LimitNOFILE= or limits.conf (nofile)"
_PROCESSES = "raise `ulimit -u` (limits.conf: nproc), TasksMax= or the container's --pids-limit"
_TIME = "compute elsewhere: login nodes limit it (`ulimit -t`), machines of a batch job do not"
_SIZE = "raise `ulimit -f` (limits.conf: fsize): weights and stores are in large files"
_ADDRESSES = "`ulimit -v unlimited`; of Grid Engine ask for more, or for none (`h_vmem`)"
_FEW_ADDRESSES, _MANY_ADDRESSES = 8 * 10**9, 64 * 10**9
"""torch, trl and what they import map 2.4 GB, models and rows beside; CUDA maps far more. Where
none is left OpenBLAS asks again for ever, and the job stands."""
_ENOUGH_SECONDS = 7 * 24 * 3600
_LARGE_FILE = 100 * 10**9
_LOCKED = "`ulimit -l unlimited` where Ray is started (limits.conf: memlock; LimitMEMLOCK=)"


class Limits(Check):
    """What runs out here fails with `Too many open files` or `Resource temporarily unavailable`."""

    ORDER = 42

    def lines(self, site: Site) -> Iterator[Line]:
        """Ask all nodes what a process may have there."""
        yield from judge(site.nodes.ask(_LOOK, {}, 20))


def judge(answers: Mapping[str, Answer]) -> Iterator[Line]:
    """Say which limits are too low, and where."""
    there = seen(answers)
    yield from silent(answers)
    lines = {name: list(_of_node(value)) for name, value in there.items()}
    for line in dict.fromkeys(line for own in lines.values() for line in own):
        names = [name for name, own in lines.items() if line in own]
        verdict, text, remedy = line
        yield verdict(f"{at(names, len(there))}{text}", remedy)
    good = {name: _files(there[name]["files"]) for name, made in lines.items() if not made}
    for files, names in alike(good).items():
        yield ok(f"{at(names, len(there))}{files}, room for processes")


def _of_node(value: Mapping[str, Any]) -> Iterator[tuple[Any, str, str]]:
    files = value["files"]
    if files is not None and files < _MANY_FILES:
        verdict = bad if files < _FEW_FILES else warning
        yield verdict, _files(files), _FILES
    rooms = [value["group_processes"]]
    if value["processes"] is not None:
        rooms.append(value["processes"] - value["used_processes"])
    room = min((max(0, left) for left in rooms if left is not None), default=None)
    if room is not None and room < _MANY_PROCESSES:
        verdict = bad if room < _FEW_PROCESSES else warning
        yield verdict, f"room for {room} more processes and threads", _PROCESSES
    if (seconds := value["cpu_seconds"]) is not None and seconds < _ENOUGH_SECONDS:
        text = f"a process is killed after {seconds:,} s of computing"
        yield bad, text, _TIME
    if (size := value["file_bytes"]) is not None and size < _LARGE_FILE:
        yield warning, f"no file may be larger than {size / 1e9:.3g} GB", _SIZE
    if (mapped := value["address_bytes"]) is not None and mapped < _MANY_ADDRESSES:
        verdict = bad if mapped < _FEW_ADDRESSES else warning
        text = f"a process may map {mapped / 1e9:.3g} GB, of which libraries take 2, and CUDA more"
        yield verdict, text, _ADDRESSES
    if value["has_infiniband"] and value["locked_bytes"] is not None:
        text = f"InfiniBand is there, but only {value['locked_bytes'] // 1024} KiB may be locked"
        yield warning, text, _LOCKED


def _files(files: int | None) -> str:
    return "open files without limit" if files is None else f"{files:,} open files a process"
