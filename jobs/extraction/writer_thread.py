"""`Pipeline`: what leaves the device and is written, on one thread beside the computation.

Copies go through a ring of pinned buffers on a stream of their own, and the thread waits for each
copy's event before it touches a byte: `non_blocking=True` alone is a race. Whatever the thread
does is done in the order in which it was asked for; its first error stops the producer the next
time it hands something over.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_MOST_WAITING = 64
"""Things handed over and not yet done."""
_MOST_WAITING_BYTES = 512 * 2**20
"""Host memory that they may hold together; one larger thing waits until it is alone."""
_NUM_BUFFERS = 4
_BUFFER_BYTES = 32 * 2**20
"""Copies of 32 MiB reach the full speed of a PCIe link; four keep it busy."""


class WriterThread:
    """A context: leaving it waits for all that was handed over, also when the block failed."""

    def __init__(self, device: Any) -> None:
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=_MOST_WAITING)
        self._error: BaseException | None = None
        self._waiting_bytes = 0
        self._less_waits = threading.Condition()
        self._ring = _Ring() if device.type == "cuda" else None
        self._thread = threading.Thread(target=self._run, name="unit-writer", daemon=True)

    def __enter__(self) -> WriterThread:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._work.put(None)
        self._thread.join()
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise what the thread failed with, if it did."""
        if self._error is not None:
            raise self._error

    def call(self, work: Callable[[], None], nbytes: int = 0) -> None:
        """Have the thread do this after everything handed over before.

        `nbytes` of host memory are held until it is done; see `make_room`.
        """
        self.make_room(nbytes)
        with self._less_waits:
            self._waiting_bytes += nbytes
        self.check()
        self._work.put(lambda: self._count_down(work, nbytes))

    def make_room(self, nbytes: int) -> None:
        """Wait until so much more may be held, before it is taken: or until nothing else is."""
        with self._less_waits:
            while self._waiting_bytes and self._waiting_bytes + nbytes > _MOST_WAITING_BYTES:
                self._less_waits.wait()

    def wait(self) -> None:
        """Until everything handed over so far is done."""
        reached = threading.Event()
        self.call(reached.set)
        while not reached.wait(timeout=1.0):
            self.check()
        self.check()

    def host(self, tensor: Tensor) -> Tensor:
        """A copy in host memory, complete for whatever is handed over after it.

        On the processor it is the tensor itself, which the caller must not change any more.
        """
        if self._ring is None or tensor.device.type == "cpu":
            return tensor
        return self._ring.copy(tensor, self.call)

    def _count_down(self, work: Callable[[], None], nbytes: int) -> None:
        try:
            # After an error all is still taken, and none of it done: nobody blocks.
            if self._error is None:
                work()
        finally:
            with self._less_waits:
                self._waiting_bytes -= nbytes
                self._less_waits.notify_all()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except BaseException as error:  # handed to the producer, which raises it
                self._error = self._error or error
            finally:
                del work  # what it holds may be large


class _Ring:
    """Pinned buffers that take turns; a copy waits for a free one."""

    def __init__(self) -> None:
        import torch

        self._streams: dict[Any, Any] = {}
        self._free: queue.Queue[Tensor] = queue.Queue()
        for _ in range(_NUM_BUFFERS):
            self._free.put(torch.empty(_BUFFER_BYTES, dtype=torch.uint8, pin_memory=True))

    def copy(self, tensor: Tensor, call: Callable[[Callable[[], None]], None]) -> Tensor:
        import torch

        source = tensor.contiguous()
        target = torch.empty(source.shape, dtype=source.dtype)
        there, here = source.flatten().view(torch.uint8), target.flatten().view(torch.uint8)
        stream = self._stream(source.device)
        # The copies must see what the computation has written so far.
        stream.wait_stream(torch.cuda.current_stream(source.device))
        source.record_stream(stream)
        for start in range(0, len(there), _BUFFER_BYTES):
            piece = there[start : start + _BUFFER_BYTES]
            buffer = self._take(call)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            with torch.cuda.stream(stream):
                buffer[: len(piece)].copy_(piece, non_blocking=True)
                copied.record(stream)
            call(self._emptying(buffer, copied, here[start : start + len(piece)]))
        return target

    def _stream(self, device: Any) -> Any:
        """The copy stream of a device; a model may lie on several."""
        import torch

        if device not in self._streams:
            self._streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        return self._streams[device]

    def _take(self, call: Callable[[Callable[[], None]], None]) -> Tensor:
        """A free buffer; looks for the thread's error while it waits, for then none comes."""
        while True:
            try:
                return self._free.get(timeout=1.0)
            except queue.Empty:
                call(lambda: None)

    def _emptying(self, buffer: Tensor, copied: Any, target: Tensor) -> Callable[[], None]:
        import torch

        def empty() -> None:
            copied.synchronize()
            with torch.inference_mode():  # the target was made in it, and takes no other writer
                target.copy_(buffer[: len(target)])
            self._free.put(buffer)

        return empty
