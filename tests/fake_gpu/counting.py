"""Every copy of pretended GPUs, and every time that the host would wait for them, is counted."""

import os
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from tests.fake_gpu.fake_streams import FakeStream


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
    streams: list["FakeStream"] = field(default_factory=list)
    """All of them."""
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
