"""GPUs that are none: tensors that say they are on `cuda:0` and compute on the processor.

`fake_gpus(n)` makes torch see n of them. Tensors that are moved there keep their values, so that
what a job computes can be compared with the processor bit for bit; an operation over tensors of two
devices is an error, as on a GPU; and every copy, and every time that the host would wait for the
device, is counted. Streams and events do nothing but tell in what order they were used.

Python's indexing asks for a guard of the device, which a torch without CUDA has not: one line of
C++ registers one, compiled once for a torch.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from tests.not_tested import COMPILER

GUARD = """#include <c10/core/impl/DeviceGuardImplInterface.h>
C10_REGISTER_GUARD_IMPL(CUDA, c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA>)
"""
aten = torch.ops.aten
READS = {
    aten._local_scalar_dense.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.masked_select.default,
    aten.nonzero.default,
    aten.unique_dim.default,
    aten._unique2.default,
    aten.repeat_interleave.Tensor,
    aten.bincount.default,
}
"""What needs a value on the host: its own, or the size of its result."""
INDEXED = {
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}
"""What takes indices of the host, too, and copies them."""
COPIES = {aten.copy_.default, aten._to_copy.default}


@cache
def register_guard():
    """Compile the guard, unless this torch's is there, and load it into this process."""
    home = Path(torch.__file__).parent
    digest = hashlib.sha256(f"{torch.__version__}\n{GUARD}".encode()).hexdigest()[:16]
    cached = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "deltascale-tests"
    library = cached / f"cuda-guard-{digest}.so"
    if not library.is_file():
        cached.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached) as folder:
            (Path(folder) / "guard.cpp").write_text(GUARD)
            words = [COMPILER, "-std=c++20", "-shared", "-fPIC", f"-I{home / 'include'}"]
            words += ["guard.cpp", "-o", "guard.so", f"-L{home / 'lib'}", "-lc10"]
            subprocess.run(words, cwd=folder, check=True)
            (Path(folder) / "guard.so").replace(library)
    torch.ops.load_library(library)


@dataclass(frozen=True)
class Event:
    """A copy, or a wait of the host for the device."""

    kind: str
    """`to device`, `to host`, `between devices`, or `read`."""
    waits: bool
    """Whether the host waits for all that the device was told before."""
    nbytes: int
    """Bytes that are copied."""
    thread: str
    """Name of the thread."""
    where: str
    """The operation, and the line of `jobs/` that asked for it."""


@dataclass
class Counts:
    """All events so far."""

    events: list[Event] = field(default_factory=list)
    asked_memory: list[int] = field(default_factory=list)
    """GPUs whose free memory was asked for: each question opens a context there."""
    first_streams: dict[int, "FakeStream"] = field(default_factory=dict)
    """Number of a GPU -> the stream that it has from the start."""
    pinned: dict[int, torch.Tensor] = field(default_factory=dict)
    """Address of the storage -> a pinned tensor."""

    def add(self, kind, waits, nbytes, func):
        thread = threading.current_thread().name
        self.events.append(Event(kind, waits, nbytes, thread, f"{func} {line_of_jobs()}"))

    def waits(self, thread="MainThread"):
        """Waits of the host, on one thread."""
        return [event for event in self.events if event.waits and event.thread == thread]

    def copied(self, kind, thread="MainThread"):
        """Copies of one kind, on one thread."""
        return [event for event in self.events if event.kind == kind and event.thread == thread]

    def pin(self, tensor):
        self.pinned[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    def is_pinned(self, tensor):
        return tensor.untyped_storage().data_ptr() in self.pinned


def line_of_jobs():
    """Name the innermost line of `jobs/` that is being run."""
    frame = sys._getframe()
    while frame is not None and f"{os.sep}jobs{os.sep}" not in frame.f_code.co_filename:
        frame = frame.f_back
    return "" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


COUNTS: list[Counts] = []
"""Those of the GPUs that are pretended now; tensors count there from any thread."""


LOCAL = threading.local()
"""Streams of a thread, by number of the GPU."""


class CudaTensor(torch.Tensor):
    """A tensor that says it is on a GPU; `host` holds its values."""

    host: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host, device):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            host.size(),
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            device=device,
        )
        tensor.host = host
        return tensor

    def data_ptr(self):
        """Return an address of its own, by which accelerate knows tied weights."""
        return self.host.data_ptr()

    def tolist(self):
        """Copy to the host, as on a GPU."""
        return self.cpu().tolist()

    def numpy(self, *how):
        """Refuse, as on a GPU."""
        raise TypeError(f"can't convert {self.device} device type tensor to numpy")

    def record_stream(self, stream):
        """Do nothing: memory is held as long as a copy may need it."""

    def __repr__(self):
        return f"CudaTensor({self.host!r}, device={self.device})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


class _Factories(TorchDispatchMode):
    """Sees what makes a tensor on a GPU out of none."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


def is_cuda(device):
    return device is not None and torch.device(device).type == "cuda"


def dispatch(func, args, kwargs):
    """Run an operation on the processor, for the device where its tensors say they are."""
    flat, spec = tree_flatten((args, kwargs))
    tensors = [each for each in flat if isinstance(each, torch.Tensor)]
    if func is aten._fused_sdp_choice.default and any(t.is_cuda for t in tensors):
        return 0  # the math kernel, which the processor has too
    if func is aten.is_pinned.default:
        return not tensors[0].is_cuda and COUNTS[-1].is_pinned(tensors[0])
    if func in (aten.pin_memory.default, aten._pin_memory.default):
        return COUNTS[-1].pin(tensors[0].clone())
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        with _Factories():  # inside of a mode there is none, and the parts may be factories
            return func.decompose(*args, **kwargs)
    device = kwargs.get("device")
    if func in COPIES:
        device, is_late = copied_to(func, tensors, args, kwargs)
        if is_late:
            return copied_late(func, args, kwargs)
    elif device is None:
        device = common_device(func, tensors)
    if func in READS and tensors[0].is_cuda:
        COUNTS[-1].add("read", True, 0, func)
    pins = kwargs.get("pin_memory")
    host_of = {id(t.host): t for t in tensors if isinstance(t, CudaTensor)}
    flat = [each.host if isinstance(each, CudaTensor) else each for each in flat]
    args, kwargs = tree_unflatten(flat, spec)
    if is_cuda(kwargs.get("device")):
        kwargs["device"] = torch.device("cpu")
    kwargs.pop("pin_memory", None)
    result = func(*args, **kwargs)
    if pins:
        COUNTS[-1].pin(result)
    if not is_cuda(device):
        return result
    device = torch.device("cuda", torch.device(device).index or 0)

    def wrapped(tensor):
        return host_of[id(tensor)] if id(tensor) in host_of else CudaTensor(tensor, device)

    # A view of a tensor from outside of inference mode is none of inference mode's.
    is_view = any(each.alias_info is not None for each in func._schema.arguments)
    outside = is_view and not all(tensor.is_inference() for tensor in tensors)
    with torch.inference_mode(torch.is_inference_mode_enabled() and not outside):
        return tree_map_only(torch.Tensor, wrapped, result)


def copied_to(func, tensors, args, kwargs):
    """Count a copy; return the device of its result, and whether it is made later."""
    counts = COUNTS[-1]
    if func is aten.copy_.default:
        target, source = args[0].device, args[1]
        may_wait = not ((len(args) > 2 and args[2]) or kwargs.get("non_blocking"))
        target_is_pinned = not args[0].is_cuda and counts.is_pinned(args[0])
    else:
        source = args[0]
        target = torch.device(kwargs.get("device") or source.device)
        may_wait = not kwargs.get("non_blocking")
        target_is_pinned = True  # to() pins what it copies to without waiting
    if target.type == "cuda" and target.index is None:
        target = torch.device("cuda", 0)
    if source.device == target or source.device.type == "meta":
        return target, False
    nbytes = source.numel() * source.element_size()
    if source.is_cuda and target.type == "cuda":
        counts.add("between devices", False, nbytes, func)
    elif source.is_cuda:
        waits = may_wait or not target_is_pinned
        counts.add("to host", waits, nbytes, func)
        return target, not waits
    else:
        counts.add("to device", may_wait or not counts.is_pinned(source), nbytes, func)
    return target, False


def copied_late(func, args, kwargs):
    """Leave a copy to the stream; nothing is there until somebody waits for it."""
    source = args[1] if func is aten.copy_.default else args[0]
    if func is aten.copy_.default:
        target = args[0]
    else:
        dtype = kwargs.get("dtype") or source.dtype
        target = COUNTS[-1].pin(torch.full(source.shape, 77, dtype=dtype))
    current_stream(source.device).late.append(lambda: target.copy_(source.host))
    return target


def common_device(func, tensors):
    """Return the one device of an operation; raise what torch raises where there are two."""
    if func in INDEXED and tensors and tensors[0].is_cuda:
        for index in tensors[1:]:
            if not index.is_cuda and index.dim():
                COUNTS[-1].add("to device", True, index.numel() * index.element_size(), func)
            if index.dtype in (torch.bool, torch.uint8):
                COUNTS[-1].add("read", True, 0, func)
        return tensors[0].device
    devices = {tensor.device for tensor in tensors if tensor.dim() or tensor.is_cuda}
    if len(devices) > 1:
        raise RuntimeError(
            f"Expected all tensors to be on the same device: {func} got "
            f"{', '.join(sorted(map(str, devices)))}"
        )
    return next(iter(devices), None)


class FakeStream:
    """A stream that computes at once; copies to the host wait until somebody waits for them."""

    def __init__(self, device=None, **_):
        self.device = torch.device(device or "cuda:0")
        self.late = []
        self.lock = threading.Lock()

    def wait_event(self, event):
        assert event.stream is not None, "nothing was recorded"

    def wait_stream(self, stream):
        pass

    def finish(self, count=None):
        """Make the first copies, or all."""
        with self.lock:
            count = len(self.late) if count is None else count
            done, self.late[:count] = self.late[:count], [None] * count
        for copy in filter(None, done):
            copy()

    def synchronize(self):
        COUNTS[-1].add("read", True, 0, "Stream.synchronize")
        self.finish()


class FakeEvent:
    """A place in a stream; `wait_event` is for streams, `synchronize` for the host."""

    def __init__(self, **how):
        self.how = how
        self.stream = None

    def record(self, stream=None):
        self.stream = stream or current_stream()
        self.place = len(self.stream.late)

    def synchronize(self):
        assert self.how.get("blocking"), "waiting for such an event keeps a core busy"
        COUNTS[-1].add("read", True, 0, "Event.synchronize")
        self.stream.finish(self.place)


def current_stream(device=None):
    """Return the stream of this thread, each device's own one first."""
    device = torch.device(device or "cuda:0")
    if not hasattr(LOCAL, "streams"):
        LOCAL.streams = {}
    return LOCAL.streams.get(device.index) or COUNTS[-1].first_streams.setdefault(
        device.index, FakeStream(device)
    )


@contextlib.contextmanager
def in_stream(stream):
    """Let this thread use a stream."""
    before = current_stream(stream.device)
    LOCAL.streams[stream.device.index] = stream
    yield
    LOCAL.streams[stream.device.index] = before


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

    seen = {
        "is_available": lambda: number > 0,
        "device_count": lambda: number,
        "current_device": lambda: 0,
        "get_device_name": lambda device=None: "a pretended GPU",
        "is_initialized": lambda: True,
        "_lazy_init": lambda: None,
        "mem_get_info": mem_get_info,
        "synchronize": synchronize,
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
        with _Factories():
            yield counts
    finally:
        for name, value in before.items():
            setattr(torch.cuda, name, value)
        torch._C._set_only_lift_cpu_tensors(lifts_only_cpu)
        torch.__future__.set_swap_module_params_on_conversion(swaps)
        COUNTS.pop()
