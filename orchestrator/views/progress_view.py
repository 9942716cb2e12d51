"""Opens the view of a launch's progress: live on a terminal, plain lines anywhere else."""

import contextlib
from collections.abc import Iterator
from typing import TextIO

from cluster.storage import Storage
from orchestrator.dispatch.watcher import Watcher
from orchestrator.views.progress import PlainLines


@contextlib.contextmanager
def shown_progress(storage: Storage, stream: TextIO) -> Iterator[Watcher]:
    """A watcher that shows a launch on `stream` while the block runs."""
    if not stream.isatty():
        yield PlainLines(stream)
        return
    from orchestrator.views.live_view import LiveView

    with LiveView(storage, stream) as view:
        yield view
