"""GPUs that are none: `fake_gpus(n)` makes torch see n of them.

Tensors that are moved there keep their values, so that what a job computes can be compared with the
processor bit for bit. Nothing can be differentiated there: autograd asks a CUDA build for streams.
"""

import contextlib
import types

import torch

from tests.fake_gpu.counting import COUNTS, Counts
from tests.fake_gpu.device_guard import register_guard
from tests.fake_gpu.fake_streams import LOCAL, FakeEvent, FakeStream, current_stream, in_stream
from tests.fake_gpu.fake_tensors import Factories


@contextlib.contextmanager
def fake_gpus(number=1, free_bytes=80e9, total_bytes=80e9):
    """Let torch see so many GPUs; yield what is counted."""
    register_guard()
    counts = Counts()

    def mem_get_info(device=None):
        gpu = device if isinstance(device, int) else torch.device(device or "cuda").index
        counts.asked_memory.append(gpu or 0)
        return int(free_bytes), int(total_bytes)

    def synchronize(device=None):
        counts.add("read", True, 0, "cuda.synchronize")
        for stream in counts.streams:
            stream.finish()

    seen = {
        "is_available": lambda: number > 0,
        "device_count": lambda: number,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: "a pretended GPU",
        "is_initialized": lambda: True,
        "_lazy_init": lambda: None,
        "mem_get_info": mem_get_info,
        "synchronize": synchronize,
        "memory_reserved": lambda device=None: 0,
        "max_memory_allocated": lambda device=None: 0,
        "reset_peak_memory_stats": lambda device=None: None,
        "get_device_properties": lambda device=None: types.SimpleNamespace(
            total_memory=int(total_bytes)
        ),
        "get_rng_state": lambda device="cuda": torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda state, device="cuda": None,
        "empty_cache": lambda: None,
        "Stream": FakeStream,
        "Event": FakeEvent,
        "current_stream": current_stream,
        "stream": in_stream,
        "device": contextlib.nullcontext,  # a class: libraries ask whether something is one
        "set_device": lambda device: None,
    }
    before = {name: getattr(torch.cuda, name) for name in seen}
    lifts_only_cpu = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device="cuda") makes, then moves
    # A module's weights are swapped for such tensors; torch would give its own another device.
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    COUNTS.append(counts)
    try:
        LOCAL.streams = {}
        for name, value in seen.items():
            setattr(torch.cuda, name, value)
        with Factories():
            yield counts
    finally:
        for name, value in before.items():
            setattr(torch.cuda, name, value)
        torch._C._set_only_lift_cpu_tensors(lifts_only_cpu)
        torch.__future__.set_swap_module_params_on_conversion(swaps)
        COUNTS.pop()
