"""`WriterThread`: copies rows off the device and writes them, beside the computation.

Tensors are handed over on their device; the thread copies them through pinned buffers on a stream
of its own, and waits for the copies' events before it reads a byte: `non_blocking=True` alone is a
race. Tasks run in the order of submission; after the first error the thread skips all tasks, and
the next submission raises it.
"""

from __future__ import annotations

import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType

import torch
from torch import Tensor

Task = Callable[[], object]
"""Work for the thread; its result is dropped."""

_MOST_WAITING = 64
"""Most tasks that are submitted and not done."""
_MOST_WAITING_BYTES = 512 * 2**20
"""Most memory that waiting tasks hold together, of devices and host; a larger task runs when no
other waits."""
_NUM_BUFFERS = 4
_BUFFER_BYTES = 32 * 2**20
"""Copies of 32 MiB reach the full speed of a PCIe link; four keep it busy."""
_PART_BYTES = _NUM_BUFFERS * _BUFFER_BYTES
"""Bytes from which on the rows of a batch leave before the batch is done."""


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

    def submit(self, task: Task, nbytes: int = 0, copies: HostCopies | None = None) -> None:
        """Run a task on the thread, after all tasks submitted before and after its own copies.

        Task and copies hold `nbytes` of memory until they are done; see `wait_for_room`.
        """
        self.wait_for_room(nbytes)
        with self._bytes_released:
            self._waiting_bytes += nbytes
        self.raise_error()
        copy = copies.hand_over() if copies is not None else None
        self._tasks.put(lambda: self._run_task(task, nbytes, copy))

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

    def copies(self, *, at_once: bool = False) -> HostCopies:
        """Return a collection of tensors that go to the host for one task, still empty.

        With `at_once` they stay on the device until the task is submitted, however many they are.
        """
        return HostCopies(self, self._ring, math.inf if at_once else _PART_BYTES)

    def _run_task(self, task: Task, nbytes: int, copy: Task | None) -> None:
        try:
            # After an error tasks are still taken, but not run, so that no submission blocks.
            if self._error is None:
                if copy is not None:
                    copy()
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


class HostCopies:
    """Tensors on their way to the host, complete for the task that they are submitted with."""

    def __init__(self, thread: WriterThread, ring: _PinnedRing | None, part_bytes: float) -> None:
        self._thread = thread
        self._ring = ring
        self._part_bytes = part_bytes
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._nbytes = 0

    def add(self, tensor: Tensor) -> Tensor:
        """Return the host's tensor for one on a device, which nobody may change any more.

        A tensor on the processor is returned as it is.
        """
        if self._ring is None or tensor.device.type == "cpu":
            return tensor
        source = tensor.contiguous()
        target = torch.empty(source.shape, dtype=source.dtype)
        self._pairs.append((source, target))
        self._nbytes += source.nbytes
        if self._nbytes >= self._part_bytes:
            self._thread.submit(lambda: None, self._nbytes, self)
        return target

    def hand_over(self) -> Task | None:
        """Return the task that copies what was added so far; None where there is nothing."""
        if self._ring is None or not self._pairs:
            return None
        pairs, self._pairs, self._nbytes = self._pairs, [], 0
        # The copies must see all that the computation has written so far, and wait for no more.
        is_computed = [_record_event(device) for device in {source.device for source, _ in pairs}]
        ring = self._ring
        return lambda: ring.copy(pairs, is_computed)


_Computed = tuple[torch.device, "torch.cuda.Event"]


def _record_event(device: torch.device) -> _Computed:
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return device, event


class _PinnedRing:
    """Pinned buffers that copies use in turn, on a stream for each device."""

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}
        self._buffers = [_PinnedBuffer() for _ in range(_NUM_BUFFERS)]

    def copy(
        self, pairs: Sequence[tuple[Tensor, Tensor]], is_computed: Sequence[_Computed]
    ) -> None:
        """Copy sources to targets; return when every byte is there.

        Many small tensors share a buffer, and the host waits once for all of them. Sources are held
        until then, so that their memory is not taken again while it is read.
        """
        for device, event in is_computed:
            self._stream(device).wait_event(event)
        free, filled = deque(self._buffers), deque[_PinnedBuffer]()
        buffer = free.popleft()
        with torch.inference_mode():  # the tensors are of inference mode
            for source, target in pairs:
                left, room = (each.flatten().view(torch.uint8) for each in (source, target))
                while len(left):
                    if not buffer.room:
                        buffer.close()
                        filled.append(buffer)
                        if not free:
                            filled[0].empty()
                            free.append(filled.popleft())
                        buffer = free.popleft()
                    size = buffer.take(left, room, self._stream(source.device))
                    left, room = left[size:], room[size:]
            buffer.close()
            for each in (*filled, buffer):
                each.empty()

    def _stream(self, device: torch.device) -> torch.cuda.Stream:
        """Return the copy stream of a device; a model may be spread over several."""
        if device not in self._streams:
            self._streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        return self._streams[device]


class _PinnedBuffer:
    """Pinned memory that is filled by copies, closed, waited for and emptied."""

    def __init__(self) -> None:
        self._memory = torch.empty(_BUFFER_BYTES, dtype=torch.uint8, pin_memory=True)
        self._used = 0
        self._parts: list[tuple[Tensor, Tensor]] = []
        self._streams: set[torch.cuda.Stream] = set()
        self._is_copied: list[torch.cuda.Event] = []

    @property
    def room(self) -> int:
        """Bytes that are free."""
        return len(self._memory) - self._used

    def take(self, source: Tensor, target: Tensor, stream: torch.cuda.Stream) -> int:
        """Start to copy as many bytes as there is room for; return how many."""
        size = min(len(source), self.room)
        part = self._memory[self._used : self._used + size]
        with torch.cuda.stream(stream):
            part.copy_(source[:size], non_blocking=True)
        self._parts.append((part, target[:size]))
        self._streams.add(stream)
        self._used += size
        return size

    def close(self) -> None:
        """Mark the end of the copies."""
        for stream in self._streams:
            # One that blocks: waiting for any other keeps a core busy.
            event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            event.record(stream)
            self._is_copied.append(event)

    def empty(self) -> None:
        """Wait for the copies, and bring the bytes to their targets."""
        for event in self._is_copied:
            event.synchronize()
        for part, target in self._parts:
            target.copy_(part)
        self._used = 0
        self._parts, self._streams, self._is_copied = [], set(), []
