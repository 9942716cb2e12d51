"""Do the clocks of the nodes agree with this machine's?"""

import time
from collections.abc import Iterator, Mapping

from cluster.fitness.asked_nodes import AskedNode
from cluster.fitness.looking import Answer
from orchestrator.doctor.answers import seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, warning
from orchestrator.doctor.site import Site
from orchestrator.text import duration, pluralize

_LOOK = "cluster.fitness.looks.clock:look"
_WARNING_S = 2.0
"""From here on lines of ledgers and logs of several nodes are out of order."""
_BAD_S = 60.0
"""From here on object storages and tokens begin to be refused; AWS does so at 15 minutes, Kerberos
at 5."""
_REMEDY = "keep its clock by NTP: `timedatectl set-ntp true`, chronyd or systemd-timesyncd"


class Clock(Check):
    """Ledger, leases and object storages compare times of several machines."""

    ORDER = 30

    def lines(self, site: Site) -> Iterator[Line]:
        """Ask all nodes for the time, and hold it against when they were asked and answered."""
        others = [node for node in site.nodes.nodes if not node.is_here]
        if not others:
            yield ok("there is one machine, and one clock")
            return
        before = time.time()
        answers = site.nodes.ask(_LOOK, {}, 10)
        after = time.time()
        yield from judge(others, answers, before, after)


def judge(
    others: list[AskedNode], answers: Mapping[str, Answer], before: float, after: float
) -> Iterator[Line]:
    """Say which clocks are ahead or behind: outside of the time between question and answer.

    Args:
        others: the nodes but this machine.
        answers: what each said.
        before: when they were asked, by this machine's clock, in seconds.
        after: when all had answered.
    """
    asked = {node.name: answers[node.name] for node in others if node.name in answers}
    yield from silent(asked)
    times = {name: float(str(value["now"])) for name, value in seen(asked).items()}
    skews = {name: _skew(now, before, after) for name, now in times.items()}
    for name, skew in skews.items():
        if abs(skew) < _WARNING_S:
            continue
        which = "ahead of" if skew > 0 else "behind"
        text = f"{name} is {duration(abs(skew))} {which} this machine"
        yield bad(text, _REMEDY) if abs(skew) >= _BAD_S else warning(text, _REMEDY)
    near = [name for name, skew in skews.items() if abs(skew) < _WARNING_S]
    if near:
        within = max(_WARNING_S, after - before)
        yield ok(f"{pluralize(len(near), 'node')} within {within:.1f} s of this machine")


def _skew(now: float, before: float, after: float) -> float:
    """Return the least seconds by which a clock must be ahead (> 0) or behind (< 0)."""
    return min(0.0, now - before) + max(0.0, now - after)
