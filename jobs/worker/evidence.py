"""What a worker can say of its own failure: where it ran, its stack, its memory, who was beside it.

It is gathered at once, before what the job held is freed, and crosses processes as JSON. A look
that fails leaves out what it would have seen, never the answer.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from cluster.executor import Surroundings
from cluster.machine.kernel_log import kernel_lines
from cluster.machine.memory_use import gpu_holders, largest_others, memory_use
from cluster.redaction.redactor import redacted
from jobs.liveness.pulse import Pulse
from jobs.worker.host_memory import host_peak_bytes

_MOST_FRAMES = 30
_MOST_CHARACTERS = 8000
"""Of a stack, from its end."""


def evidence_of(error: BaseException, surroundings: Surroundings, pulse: Pulse) -> dict[str, Any]:
    """Gather what is known of an error where it was raised.

    Args:
        error: what the job raised.
        surroundings: of this process.
        pulse: what it was at.

    Returns:
        A JSON object, without secrets: `rank`, `node`, `pid`, `stack`, `heartbeat`, `memory`,
        `kernel`, `others`, and with CUDA in use `gpus` and `gpu_holders`.
    """
    known: dict[str, Any] = {
        "rank": surroundings.rank,
        "node": surroundings.node,
        "pid": os.getpid(),
        "stack": _stack(error),
    }
    looks: Mapping[str, Callable[[], Any]] = {
        "heartbeat": lambda: json.loads(pulse.read(0).to_json()),
        "memory": _memory,
        "kernel": lambda: kernel_lines(os.getpid()),
        "others": largest_others,
        "gpus": _gpus,
        "gpu_holders": lambda: gpu_holders() if _torch_on_gpu() else [],
    }
    for name, look in looks.items():
        try:
            seen = look()
        except Exception:  # a machine without /proc, a driver that is gone: less is known
            continue
        if seen:
            known[name] = seen
    return known


def _stack(error: BaseException) -> list[str]:
    lines = traceback.format_exception(error, limit=-_MOST_FRAMES)
    return redacted("".join(lines)[-_MOST_CHARACTERS:]).splitlines()


def _memory() -> dict[str, float]:
    return {**memory_use(), "process_peak_gb": round(host_peak_bytes() / 1e9, 3)}


def _torch_on_gpu() -> Any:
    """Return torch where this process has used a GPU by it; asking must not open a context."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None


def _gpus() -> list[dict[str, Any]]:
    torch = _torch_on_gpu()
    if torch is None:
        return []
    seen = []
    for number in range(torch.cuda.device_count()):
        peak = torch.cuda.max_memory_reserved(number)
        if peak:
            free, total = torch.cuda.mem_get_info(number)
            about = {"gpu": number, "name": torch.cuda.get_device_name(number)}
            sizes = {"used_gb": total - free, "total_gb": total, "process_peak_gb": peak}
            seen.append({**about, **{name: round(size / 1e9, 2) for name, size in sizes.items()}})
    return seen
