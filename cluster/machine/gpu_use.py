"""How busy GPUs are, by the driver's word, asked now and then without ever waiting for it."""

import os
import shutil
import subprocess
import time
from collections.abc import Collection
from statistics import mean

EVERY_S = 10.0
"""The driver is asked no more often."""
_PATIENCE_S = 10.0
"""How long its program may take; later it is killed."""
_MOST_BYTES = 65536
_REST_S = 300.0
"""How long nobody asks again where it did not answer, or said nothing of the GPUs."""


class GpuUse:
    """Share of the time that GPUs are busy; one for all jobs of a process, used by one thread.

    The driver's program runs beside: a look starts it, a later one reads what it said. Where the
    driver hangs, even killing it may not end it, so no second one is started before it has ended.
    """

    def __init__(self) -> None:
        self._asked: subprocess.Popen[bytes] | None = None
        self._gpus: frozenset[str] = frozenset()
        self._asked_of: frozenset[str] = frozenset()
        self._due_at = self._late_at = 0.0
        self._use: float | None = None

    def look(self, uuids: Collection[str]) -> float | None:
        """Return the mean of the latest use of some GPUs, from 0 to 1; returns at once.

        Args:
            uuids: `GPU-…` of each, all of which it must know.

        Returns:
            None where it is not known: not asked yet, no driver, one that does not answer or does
            not say, and MIG parts, of which it says nothing.
        """
        now, wanted = time.monotonic(), frozenset(uuids)
        if wanted != self._gpus:
            self._gpus, self._use = wanted, None
        if self._asked is not None:
            self._read(self._asked, now)
        if self._asked is None and wanted and now >= self._due_at:
            self._ask(now)
        return self._use

    def latest(self, uuids: Collection[str]) -> float | None:
        """Return what the last look at these GPUs showed; looks at nothing."""
        return self._use if frozenset(uuids) == self._gpus else None

    def _ask(self, now: float) -> None:
        self._due_at, self._late_at = now + EVERY_S, now + _PATIENCE_S
        self._asked_of = self._gpus
        program = shutil.which("nvidia-smi")
        try:
            if program is None:
                raise FileNotFoundError("nvidia-smi")
            self._asked = subprocess.Popen(
                [
                    program,
                    f"--id={','.join(sorted(self._gpus))}",
                    "--query-gpu=utilization.gpu",
                    "--format=csv,noheader,nounits",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self._due_at = now + _REST_S

    def _read(self, asked: "subprocess.Popen[bytes]", now: float) -> None:
        """Take what the program said once it has ended; kill it when it is late."""
        is_late = now >= self._late_at
        if asked.poll() is None:
            if is_late:
                self._use, self._due_at = None, now + _REST_S
                asked.kill()
            return
        self._asked = None
        assert asked.stdout is not None
        with asked.stdout as answer:
            os.set_blocking(answer.fileno(), False)  # what it left behind may hold it open
            said = b"" if asked.returncode else answer.read(_MOST_BYTES) or b""
        if self._asked_of != self._gpus:
            return
        self._use = parse_use(said.decode(errors="replace"), len(self._gpus))
        if self._use is None:
            self._due_at = max(self._due_at, now + _REST_S)


def parse_use(said: str, number: int) -> float | None:
    """Read percents of so many GPUs, one a line; return the mean from 0 to 1, or None.

    A GPU that does not tell says `[N/A]` or `[Not Supported]`.
    """
    cells = [line.strip() for line in said.splitlines() if line.strip()]
    if len(cells) != number or not all(cell.isdecimal() and int(cell) <= 100 for cell in cells):
        return None
    return round(mean(int(cell) for cell in cells) / 100, 4)
