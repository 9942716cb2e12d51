"""Streams and events that do nothing but tell in what order they were used.

A copy to the host that nobody waits for is made when somebody does.
"""

import contextlib
import threading

import torch

from tests.fake_gpu.counting import COUNTS

LOCAL = threading.local()
"""Streams of a thread, by number of the GPU."""


class FakeStream:
    """A stream that computes at once; copies to the host wait until somebody waits for them."""

    def __init__(self, device=None, **_):
        self.device = torch.device(device or "cuda:0")
        self.late = []
        self.lock = threading.Lock()
        COUNTS[-1].streams.append(self)

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
