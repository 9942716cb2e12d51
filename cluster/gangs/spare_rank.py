"""`SpareRank`: a process that has imported what a rank needs, and becomes one where that is wanted.

It is an actor beside the ranks of a gang that may have to start again, on none of their resources:
what it does before it is wanted runs only while nothing else wants the processor.
"""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cluster.machine.left_over_variables import forget_other_launchers

if TYPE_CHECKING:
    from ray.train.v2._internal.execution.worker_group.worker import RayTrainWorker

_WITH_THREADS = ("numpy", "scipy.linalg")
"""Start threads of their own as they are imported, which keep the priority of whoever does it."""
_OF_RAY = ("ray.train.torch", "ray.train.v2._internal.execution.worker_group.worker")


class SpareRank:
    """Stands ready to be a rank; the first call of Ray Train's controller makes it Ray's worker."""

    def __init__(self, imports: Sequence[str]) -> None:
        """Begin to import modules; one that is missing is passed over."""
        self._is_ready = threading.Event()
        forget_other_launchers()
        _import(_WITH_THREADS)
        threading.Thread(target=self._prepare, args=(imports,), daemon=True).start()

    def _prepare(self, imports: Sequence[str]) -> None:
        try:
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            _import([*_OF_RAY, *imports])
        finally:
            self._is_ready.set()

    def await_ready(self) -> None:
        """Return once it has imported all it was to import."""
        self._is_ready.wait()

    @cached_property
    def _worker(self) -> "RayTrainWorker":
        from ray.train.v2._internal.execution.worker_group.worker import RayTrainWorker

        return RayTrainWorker()

    def execute(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function here."""
        return function(*args, **kwargs)

    def get_metadata(self) -> Any:
        """Say where this process is."""
        return self._worker.get_metadata()

    def init_train_context(self, **parts: Any) -> None:
        """Become a rank."""
        self._worker.init_train_context(**parts)

    def run_train_fn(self, function: Any) -> None:
        """Start what ranks do."""
        self._worker.run_train_fn(function)

    def poll_status(self) -> Any:
        """Say how it goes."""
        return self._worker.poll_status()

    def shutdown(self) -> None:
        """Prepare to be killed."""
        self._worker.shutdown()


def _import(names: Sequence[str]) -> None:
    for name in names:
        with suppress(Exception):  # whoever needs it says what is wrong
            import_module(name)
