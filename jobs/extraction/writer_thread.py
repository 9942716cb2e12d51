"""`WriterThread`: copies rows off the device and writes them, beside the computation.

Copies go through a ring of pinned buffers on a stream of their own, and the thread waits for each
copy's event before it reads a byte: `non_blocking=True` alone is a race. Tasks run in the order
of submission; after the first error the thread skips all tasks, and the next submission raises it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType

import torch
from torch import Tensor

Task = Callable[[], object]
"""Work for the thread; its result is dropped."""

_MOST_WAITING = 64
"""Most tasks that are submitted and not done."""
_MOST_WAITING_BYTES = 512 * 2**20
"""Most host memory that waiting tasks hold together; a larger task runs when no other waits."""
_NUM_BUFFERS = 4
_BUFFER_BYTES = 32 * 2**20
"""Copies of 32 MiB reach the full speed of a PCIe link; four keep it busy."""


class WriterThread:
    """A context manager; its end waits for all submitted tasks, also when the block failed."""

    def __init__(self, device: torch.device) -> None:
        self._tasks: queue.Queue[Task | None] = queue.Queue(maxsize=_MOST_WAITING)
        self._error: BaseException | None = None
        self._waiting_bytes = 0
        self._bytes_released = threading.Condition()
        self._ring = _PinnedRing() if device.type == "cuda" else None
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
        self._tasks.put(None)
        self._thread.join()
        if error is None:
            self.raise_error()

    def raise_error(self) -> None:
        """Raise the first error of a task, if there is one."""
        if self._error is not None:
            raise self._error

    def submit(self, task: Task, nbytes: int = 0) -> None:
        """Run a task on the thread, after all tasks submitted before.

        The task holds `nbytes` of host memory until it is done; see `wait_for_room`.
        """
        self.wait_for_room(nbytes)
        with self._bytes_released:
            self._waiting_bytes += nbytes
        self.raise_error()
        self._tasks.put(lambda: self._run_task(task, nbytes))

    def wait_for_room(self, nbytes: int) -> None:
        """Wait until waiting tasks leave room for so many bytes more, or until none waits."""
        with self._bytes_released:
            while self._waiting_bytes and self._waiting_bytes + nbytes > _MOST_WAITING_BYTES:
                self._bytes_released.wait()

    def wait(self) -> None:
        """Wait until all tasks submitted so far are done."""
        reached = threading.Event()
        self.submit(reached.set)
        while not reached.wait(timeout=1.0):
            self.raise_error()
        self.raise_error()

    def to_host(self, tensor: Tensor) -> Tensor:
        """Start a copy to host memory, complete for every task that is submitted afterwards.

        A tensor on the processor is returned as it is; the caller must not change it any more.
        """
        if self._ring is None or tensor.device.type == "cpu":
            return tensor
        return self._ring.copy(tensor, self.submit)

    def _run_task(self, task: Task, nbytes: int) -> None:
        try:
            # After an error tasks are still taken, but not run, so that no submission blocks.
            if self._error is None:
                task()
        finally:
            with self._bytes_released:
                self._waiting_bytes -= nbytes
                self._bytes_released.notify_all()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except BaseException as error:  # raised again by the submitting thread
                self._error = self._error or error
            finally:
                del task  # it may hold much memory


class _PinnedRing:
    """Pinned buffers that copies use in turn; a copy waits for a free one."""

    def __init__(self) -> None:

        self._streams: dict[torch.device, torch.cuda.Stream] = {}
        self._free: queue.Queue[Tensor] = queue.Queue()
        for _ in range(_NUM_BUFFERS):
            self._free.put(torch.empty(_BUFFER_BYTES, dtype=torch.uint8, pin_memory=True))

    def copy(self, tensor: Tensor, submit: Callable[[Task], None]) -> Tensor:
        """Start the copy of a tensor, piece by piece; the result is filled by submitted tasks."""
        source = tensor.contiguous()
        target = torch.empty(source.shape, dtype=source.dtype)
        source_bytes = source.flatten().view(torch.uint8)
        target_bytes = target.flatten().view(torch.uint8)
        stream = self._stream(source.device)
        # The copies must see all that the computation has written so far.
        stream.wait_stream(torch.cuda.current_stream(source.device))
        source.record_stream(stream)
        for start in range(0, len(source_bytes), _BUFFER_BYTES):
            piece = source_bytes[start : start + _BUFFER_BYTES]
            buffer = self._take_buffer(submit)
            is_copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            with torch.cuda.stream(stream):
                buffer[: len(piece)].copy_(piece, non_blocking=True)
                is_copied.record(stream)
            submit(self._emptying(buffer, is_copied, target_bytes[start : start + len(piece)]))
        return target

    def _stream(self, device: torch.device) -> torch.cuda.Stream:
        """Return the copy stream of a device; a model may be spread over several."""
        if device not in self._streams:
            self._streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        return self._streams[device]

    def _take_buffer(self, submit: Callable[[Task], None]) -> Tensor:
        """Wait for a free buffer; after an error of the thread none comes, and `submit` raises."""
        while True:
            try:
                return self._free.get(timeout=1.0)
            except queue.Empty:
                submit(lambda: None)

    def _emptying(self, buffer: Tensor, is_copied: torch.cuda.Event, target: Tensor) -> Task:

        def empty() -> None:
            is_copied.synchronize()
            with torch.inference_mode():  # the target is an inference tensor
                target.copy_(buffer[: len(target)])
            self._free.put(buffer)

        return empty
