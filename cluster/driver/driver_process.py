"""The child process that holds an executor's Ray: started here, spoken to, ended with all it began.

Ray ends the process of its driver when the head of the cluster is lost (its C++ core calls `exit`).
In a child that costs a message; in the launch itself it would cost the launch.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from cluster.disk.temp_folders import private_base
from cluster.driver_messages import FromChild, Lost, ToChild

_CODE = "import sys; sys.path.insert(0, sys.argv[1]); {imports}; main(int(sys.argv[2]))"
_ENDED_WITHIN_S = 10.0
_TAIL_BYTES = 4000


class DriverProcess:
    """A child of this process that says and is told messages, until either of them ends.

    Messages are read by a thread, so that an interrupt of the main thread never cuts one in two.

    Args:
        module: the module whose `main(descriptor)` the child calls.
        environment: all variables that the child has.
    """

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        self._printed = tempfile.TemporaryFile(  # noqa: SIM115  open as long as the child lives
            dir=private_base()
        )
        code = _CODE.format(imports=f"from {module} import main")
        root = str(Path(__file__).parents[2])
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code, root, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=self._printed,
                stderr=self._printed,
                # A Ctrl-C at the terminal is the launch's to hear: it asks the calls to stop.
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())
        self._received: deque[FromChild] = deque()
        self._is_news = threading.Event()
        self._reader = threading.Thread(target=self._read, name="ray-messages", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: ToChild) -> None:
        """Send a message; one to a child that has gone is dropped: `Lost` is on its way."""
        with suppress(OSError):
            self._connection.send(message)

    def receive(self, timeout_s: float) -> FromChild | None:
        """Return the next message, or None when none comes in time; the last one is `Lost`."""
        if not self._received:
            self._is_news.wait(timeout_s)
        self._is_news.clear()
        with suppress(IndexError):
            return self._received.popleft()
        return None

    def end(self, within_s: float = 0.0) -> None:
        """Wait so long for the child to end by itself, then end it and all that it started."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        if self._process.poll() is None:
            end_family(self._process.pid)
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDED_WITHIN_S)
        self._reader.join(_ENDED_WITHIN_S)  # the child's end of the pipe is closed
        with suppress(OSError):
            self._connection.close()
        self._printed.close()

    def _read(self) -> None:
        reason = None
        with suppress(EOFError, OSError):
            while True:
                message = self._connection.recv()
                self._received.append(message)
                self._is_news.set()
                if isinstance(message, Lost):
                    return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDED_WITHIN_S)
        reason = f"its process ended (exit code {self._process.poll()})"
        self._received.append(Lost(f"{reason}: {self._last_line()}"))
        self._is_news.set()

    def _last_line(self) -> str:
        """Return the last line that the child printed."""
        with suppress(OSError, ValueError):
            size = os.fstat(self._printed.fileno()).st_size
            tail = os.pread(self._printed.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
            lines = [line for line in tail.decode(errors="replace").splitlines() if line.strip()]
            return lines[-1].strip() if lines else "it said nothing"
        return "it said nothing"


def end_family(pid: int) -> None:
    """Kill all processes that a process started, and theirs, and wait until they have gone."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(pid).children(recursive=True)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=_ENDED_WITHIN_S)
