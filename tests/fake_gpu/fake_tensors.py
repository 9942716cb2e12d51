"""Tensors that say they are on `cuda:0` and compute on the processor.

An operation over tensors of two devices is an error, as on a GPU.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from tests.fake_gpu.counting import COUNTS
from tests.fake_gpu.fake_streams import current_stream

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


class Factories(TorchDispatchMode):
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
        with Factories():  # inside of a mode there is none, and the parts may be factories
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
