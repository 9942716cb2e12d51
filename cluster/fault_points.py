"""`fault_point`: named places in the code where a launch with `--chaos` may inject a fault.

No variable and no file arms a process: it is armed while `striking` is open, and else a fault point
is one look at a number. What strikes is in `cluster/chaos/`.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

POINTS = {
    "attempt": "a process begins its part of an attempt at a job",
    "step": "a job did a step, or reported how far it is",
    "publish": "a job is done, and its record is about to be published",
    "published": "the record of a job is there, and nobody has heard of it",
    "write": "a file is about to be written",
    "append": "lines are about to be added to a file",
    "written": "a file was written",
    "read": "a file is about to be read",
    "round": "the launch begins a round of its loop",
    "submit": "the launch is about to hand a job to a worker",
    "settle": "the launch heard how an attempt ended, and has not written it down",
}
"""Name of a point -> what happens there."""

Strike = Callable[[str, Mapping[str, object]], None]

_strike: Strike | None = None
_num_armed = 0
_of_thread = threading.local()


def fault_point(name: str, **where: object) -> None:
    """Let whatever is to go wrong here go wrong; does nothing unless this process is armed.

    Args:
        name: one of `POINTS`.
        where: what is known of the place: `file` (its name in the root), `path`, `step` (a number,
            where steps have one), `tear` (a function that does half of what is about to be done),
            `spoil` (a function that makes the numbers of the work useless).
    """
    if _num_armed:
        strike = getattr(_of_thread, "strike", None) or _strike
        if strike is not None:
            strike(name, where)


@contextmanager
def striking(strike: Strike, *, in_this_thread: bool = False) -> Iterator[None]:
    """Arm this process while the block runs, or one thread of it; the innermost block counts.

    Args:
        strike: is called at every fault point, with its name and what is known of the place.
        in_this_thread: another job may be at work in the other threads.
    """
    global _strike, _num_armed
    _num_armed += 1
    if in_this_thread:
        before, _of_thread.strike = getattr(_of_thread, "strike", None), strike
    else:
        before, _strike = _strike, strike
    try:
        yield
    finally:
        _num_armed -= 1
        if in_this_thread:
            _of_thread.strike = before
        else:
            _strike = before
