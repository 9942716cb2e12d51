"""Sends offline pieces of runs with `wandb sync`, several runs at once, each piece once.

`wandb sync` joins the pieces of a run itself: they have one id, and it sends them one after another
in the order they began, with W&B's own step going on where the last one ended. It marks a file once
all of it was taken; what was cut off is sent again from its first row with the steps that it had,
of which W&B drops those it has.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cluster.driver.driver_process import end_family
from cluster.errors import SurroundingsError
from cluster.redaction.redactor import redacted
from jobs.mirror.pieces import Piece
from jobs.mirror.whole_records import cut_torn_record

AT_ONCE = 4
"""Runs that are sent at the same time."""
_LOCK = "sync.lock"
_RUNS_A_CALL = 40
"""Runs that one `wandb sync` is given: where it is ended, no more than these are cut off."""
_STALLS_AFTER_S = 180.0
"""W&B tries again for hours where a server errs. One that takes no file for so long is away."""
_POLLS_EVERY_S = 0.2
_MOST_LINES = 3
_LONGEST_END = 500


def send(
    runs: Mapping[str, Sequence[Piece]],
    environment: Mapping[str, str],
    note: Callable[[int], None] = lambda num_sent: None,
    stalls_after_s: float = _STALLS_AFTER_S,
) -> None:
    """Send pieces of runs; those of one run in the order given.

    Of a piece whose writer was killed inside a record the torn record is cut off.

    Args:
        runs: id of each run -> its pieces that are to be sent; nobody writes them any more.
        environment: for W&B: who the user is, and where its server is.
        note: is told now and then how many pieces were sent so far.
        stalls_after_s: how long a server may take no piece.

    Raises:
        SurroundingsError: W&B does not take them; what was sent before is marked as sent.
    """
    num_before, failed = 0, list[_Failure]()
    for ids in _in_parts(list(runs)):
        part = [piece for run in ids for piece in runs[run]]
        for piece in part:
            with suppress(OSError):  # what cannot be read is W&B's to tell
                cut_torn_record(piece.file)
        failure = _send(part, environment, partial(_note_more, note, num_before), stalls_after_s)
        if failure and not failure.is_stalled:
            # One file that cannot be read keeps `wandb sync` from all others: each run by itself.
            alone = [[piece for piece in runs[run] if not piece.is_sent] for run in ids]
            tried = [_send(own, environment, _ignore, stalls_after_s) for own in alone if own]
            failed += [each for each in tried if each]
        elif failure:
            failed.append(failure)
        if any(each.is_stalled for each in failed):
            break
        num_before += len(part)
        note(num_before)
    if failed:
        raise _fault(failed, sum(map(len, runs.values())), stalls_after_s)


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """A call of `wandb sync` that left something."""

    left: Sequence[Piece]
    """What was not sent."""
    is_stalled: bool
    """Whether the server took nothing for too long."""
    text: str
    """What W&B said last."""


def _fault(failed: Sequence[_Failure], num_pieces: int, stalls_after_s: float) -> SurroundingsError:
    left = [piece for each in failed for piece in each.left]
    is_stalled = any(each.is_stalled for each in failed)
    why = f"took no file for {stalls_after_s:.0f} s" if is_stalled else "did not take them all"
    return SurroundingsError(
        f"W&B {why}: {len(left)} of {num_pieces} pieces of runs are not sent",
        where=str(left[0].file),
        hint=f"the same command goes on from here; `wandb sync` said: {failed[-1].text}",
    )


@contextmanager
def sending(folder: Path) -> Iterator[None]:
    """Keep others on this machine from sending what lies in a folder, while the block runs.

    Raises:
        SurroundingsError: somebody is at it.
    """
    with (folder / _LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SurroundingsError(
                "another `deltascale sync` is sending these runs",
                where=str(folder),
                hint="wait for it; run again, it sends what is left then",
            ) from None
        yield


def _note_more(note: Callable[[int], None], num_before: int, num_sent: int) -> None:
    note(num_before + num_sent)


def _ignore(num_sent: int) -> None:
    pass


def _in_parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _RUNS_A_CALL):
        yield ids[start : start + _RUNS_A_CALL]


def _send(
    pieces: Sequence[Piece],
    environment: Mapping[str, str],
    note: Callable[[int], None],
    stalls_after_s: float,
) -> _Failure | None:
    words = [sys.executable, "-P", "-m", "wandb", "sync", "--include-online", "-n", str(AT_ONCE)]
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            [*words, *(str(piece.file.resolve()) for piece in pieces)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            env=dict(environment),
            cwd=os.sep,  # a folder `wandb` here would be taken for W&B's own settings
            start_new_session=True,
        )
        try:
            is_stalled = _wait(process, pieces, note, stalls_after_s)
        finally:
            if process.poll() is None:
                end_family(process.pid)
                process.kill()
            process.wait()
        printed.seek(0)
        text = printed.read().decode(errors="replace")
    left = [piece for piece in pieces if not piece.is_sent]
    return _Failure(left=left, is_stalled=is_stalled, text=_end_of(text)) if left else None


def _wait(
    process: "subprocess.Popen[bytes]",
    pieces: Sequence[Piece],
    note: Callable[[int], None],
    stalls_after_s: float,
) -> bool:
    """Wait until the process ends; True where it took no file for too long."""
    num_sent, moved_at = 0, time.monotonic()
    while process.poll() is None:
        if (sent := sum(piece.is_sent for piece in pieces)) != num_sent:
            num_sent, moved_at = sent, time.monotonic()
            note(sent)
        if time.monotonic() - moved_at > stalls_after_s:
            return True
        time.sleep(_POLLS_EVERY_S)
    return False


def _end_of(text: str) -> str:
    """Return the last lines that say something, without secrets."""
    lines = [line.strip() for line in redacted(text).splitlines() if line.strip()]
    return " | ".join(lines[-_MOST_LINES:])[-_LONGEST_END:] or "nothing"
