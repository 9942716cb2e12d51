"""The GPUs of this machine that CUDA would show a process, by the driver's word, without torch.

`CUDA_VISIBLE_DEVICES` follows CUDA's rules: numbers, or beginnings of UUIDs of GPUs or of MIG
parts, and whatever comes after the first entry that names nothing is ignored. A MIG part counts as
a GPU with its own memory; a GPU that is cut into parts is none itself.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from cluster.machine.accelerators import gpu_memory_gb

VARIABLE = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"

_PATIENCE_S = 20
"""How long the driver's program may take; where the driver hangs, it never answers."""
_LISTED = re.compile(r"GPU (\d+): (.*?)\s*\(UUID: (GPU-[^)\s]+)\)")
_PART = re.compile(r"\s+MIG (\S+)\s.*\(UUID: (MIG-[^)\s]+)\)")
_NUMBER = re.compile(r"[+-]?\d+")
_PREFIXES = ("GPU-", "MIG-")
_KERNEL = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU, or a MIG part of one, that a process can compute on."""

    identifier: str
    """How `CUDA_VISIBLE_DEVICES` names it."""
    memory_gb: float
    """Its memory in 10^9 bytes; 0 where the driver does not say."""
    name: str = ""
    """Its product, and which part of it; empty where the driver does not say."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A GPU as the driver lists it."""

    uuid: str
    """`GPU-…`; empty where it is not known."""
    memory_gb: float
    """Its memory in 10^9 bytes; 0 where the driver does not say."""
    name: str = ""
    """Its product; empty where the driver does not say."""
    is_cut: bool = False
    """True in MIG mode, where only its parts can be computed on."""
    parts: Sequence[Gpu] = field(default_factory=tuple)
    """Its MIG parts."""

    def device(self, identifier: str) -> Gpu | None:
        """Return what a process computes on that is shown this board: its first part where cut."""
        if self.is_cut or self.parts:
            return self.parts[0] if self.parts else None
        return Gpu(identifier=identifier, memory_gb=self.memory_gb, name=self.name)


def visible_gpus() -> list[Gpu]:
    """Return the GPUs that processes started from this one can be given, in CUDA's order.

    Where neither the driver's program nor the kernel says what there is, the variable is believed.
    """
    boards = _boards(shutil.which("nvidia-smi"))
    # The driver lists GPUs in the order of their buses, CUDA the fastest first.
    if boards and os.environ.get(_ORDER) != "PCI_BUS_ID" and len({*_sizes(boards)}) > 1:
        smallest = min(_sizes(boards))
        boards = tuple(replace(board, memory_gb=smallest) for board in boards)
    return choose_visible(os.environ.get(VARIABLE), boards)


def visible_variable() -> dict[str, str]:
    """Return `CUDA_VISIBLE_DEVICES` for a Ray of ours, one entry for each GPU; empty: leave it.

    Ray splits the value at commas, and hands entries that CUDA would ignore to calls.
    """
    gpus = visible_gpus()
    numbers = [str(number) for number in range(len(gpus))]
    names = [gpu.identifier for gpu in gpus]
    if os.environ.get(VARIABLE) is None and names == numbers:
        return {}
    return {VARIABLE: ",".join(names)}


def _sizes(boards: Sequence[Board]) -> list[float]:
    return [board.memory_gb for board in boards if board.memory_gb and not board.is_cut]


def choose_visible(variable: str | None, boards: Sequence[Board] | None) -> list[Gpu]:
    """Apply `CUDA_VISIBLE_DEVICES` to the GPUs of a machine.

    Args:
        variable: its value; None where it is not set.
        boards: the GPUs; None where nobody knows them.
    """
    if variable is None:
        return _all(boards or ())
    chosen: list[Gpu] = []
    entries = [entry.strip() for entry in variable.split(",")]
    prefix = next((prefix for prefix in _PREFIXES if entries[0].startswith(prefix)), None)
    for entry in entries:
        gpu = _named(entry, prefix, boards)
        if gpu is None:
            break
        if gpu in chosen:
            return []  # CUDA refuses a list that names one twice
        chosen.append(gpu)
    return chosen


def _all(boards: Sequence[Board]) -> list[Gpu]:
    """Return every part of GPUs that are cut, and every other GPU whole."""
    gpus: list[Gpu] = []
    mixed = any(board.is_cut or board.parts for board in boards)
    for number, board in enumerate(boards):
        if board.is_cut or board.parts:
            gpus.extend(board.parts)
        else:
            identifier = board.uuid if mixed and board.uuid else str(number)
            whole = Gpu(identifier=identifier, memory_gb=board.memory_gb, name=board.name)
            gpus.append(whole)
    return gpus


def _named(entry: str, prefix: str | None, boards: Sequence[Board] | None) -> Gpu | None:
    """Return the GPU that one entry names; None where CUDA would stop reading."""
    if prefix is None:
        number = _NUMBER.match(entry)  # CUDA reads the digits that an entry begins with
        at = int(number[0][:10]) if number else -1
        if boards is None and at >= 0:
            return Gpu(identifier=str(at), memory_gb=0.0)
        return boards[at].device(str(at)) if boards and 0 <= at < len(boards) else None
    if not entry.startswith(prefix):
        return None
    if boards is None:
        return Gpu(identifier=entry, memory_gb=0.0)
    if prefix == "GPU-":
        alike = [board for board in boards if board.uuid.startswith(entry)]
        return alike[0].device(alike[0].uuid) if len(alike) == 1 else None
    parts = [part for board in boards for part in board.parts]
    named = [part for part in parts if part.identifier.startswith(entry)]
    if len(named) == 1:
        return named[0]
    return _part_by_place(entry, boards)


def _part_by_place(entry: str, boards: Sequence[Board]) -> Gpu | None:
    """Return the part in `MIG-GPU-<uuid>/<instance>/<compute instance>`, as old drivers name it.

    The driver does not list the numbers of instances of parts that it names by UUID.
    """
    uuid = entry.removeprefix("MIG-").partition("/")[0]
    board = next((board for board in boards if uuid and board.uuid == uuid), None)
    if board is None or not board.parts or "/" not in entry:
        return None
    smallest = min(board.parts, key=lambda part: part.memory_gb)
    return replace(smallest, identifier=entry)


@lru_cache(maxsize=8)
def _boards(program: str | None) -> tuple[Board, ...] | None:
    """Ask the driver, once in a process: its program, or else the kernel; None: neither knows."""
    if program is None:
        return _boards_of_kernel()
    listed = driver_answer(program, "--list-gpus")
    boards: list[tuple[str, str, list[Gpu]]] = []
    for line in listed or ():
        if gpu := _LISTED.match(line):
            boards.append((gpu[2], gpu[3], []))
        elif line.startswith("GPU "):
            boards.append((line.partition(":")[2].strip(), "", []))
        elif boards and (part := _PART.match(line)):
            name = f"{boards[-1][0]} MIG {part[1]}"
            made = Gpu(identifier=part[2], memory_gb=gpu_memory_gb(part[1]), name=name)
            boards[-1][2].append(made)
    if not boards:
        return _boards_of_kernel() if listed is None else ()
    sizes = _sizes_and_modes(program)
    if len(sizes) != len(boards):
        sizes = [(0.0, False)] * len(boards)
    return tuple(
        Board(
            uuid=uuid,
            memory_gb=memory_gb or gpu_memory_gb(name),
            name=name,
            is_cut=is_cut,
            parts=tuple(parts),
        )
        for (name, uuid, parts), (memory_gb, is_cut) in zip(boards, sizes, strict=True)
    )


def _sizes_and_modes(program: str) -> list[tuple[float, bool]]:
    """Return memory in 10^9 bytes, 0 where it is not told, and whether MIG is on, of each GPU."""
    for fields in ("memory.total,mig.mode.current", "memory.total"):  # old drivers know no MIG
        lines = driver_answer(program, f"--query-gpu={fields}", "--format=csv,noheader,nounits")
        if lines:
            break
    rows = [line.split(",") for line in lines or () if line.strip()]
    return [(_gb(row[0]), row[-1].strip() == "Enabled") for row in rows]


def _gb(mib: str) -> float:
    return round(int(mib) * 2**20 / 1e9, 1) if mib.strip().isdigit() else 0.0


def driver_answer(program: str, *arguments: str) -> list[str] | None:
    """Return the lines of a successful answer; None where there is none in time.

    A program that hangs in the driver cannot even be killed, so nobody waits for its end.
    """
    try:
        asked = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
    except OSError:
        return None
    try:
        answer, _ = asked.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        asked.kill()
        return None
    return answer.splitlines() if asked.returncode == 0 else None


def _boards_of_kernel() -> tuple[Board, ...] | None:
    """Return the GPUs that the kernel's driver knows, where its program is not there or hangs."""
    boards = []
    for file in sorted(_KERNEL.glob("*/information")):
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        told = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
        uuid, name = told.get("GPU UUID", ""), told.get("Model", "")
        boards.append(
            Board(uuid="" if "?" in uuid else uuid, memory_gb=gpu_memory_gb(name), name=name)
        )
    return tuple(boards) or None
