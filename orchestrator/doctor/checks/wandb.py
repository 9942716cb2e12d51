"""Does W&B answer where jobs run, and is there a login?"""

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.fitness.looking import Answer
from orchestrator.doctor.answers import alike, at, seen, silent
from orchestrator.doctor.check import Check, Line, ok, warning
from orchestrator.doctor.site import Site

_LOOK = "jobs.mirror.standing:look"
_REMEDY = (
    "nothing of the results is lost; mend WANDB_BASE_URL or the way out, or say WANDB_MODE=offline"
)


class Wandb(Check):
    """W&B is a mirror: what it lacks, the root has."""

    ORDER = 72

    def lines(self, site: Site) -> Iterator[Line]:
        """Ask all nodes."""
        yield from judge(site.nodes.ask(_LOOK, {}, 40))


def judge(answers: Mapping[str, Answer]) -> Iterator[Line]:
    """Say where runs would be online, offline or none."""
    there = seen(answers)
    yield from silent(answers)
    phrases = {name: _phrase(value) for name, value in there.items()}
    for (is_good, text), names in alike(phrases).items():
        shown = f"{at(names, len(there))}{text}"
        yield ok(shown) if is_good else warning(shown, _REMEDY)


def _phrase(value: Mapping[str, Any]) -> tuple[bool, str]:
    if value["fault"]:
        return False, f"{value['url']} is not reached ({value['fault']}): runs are kept offline"
    if value["mode"] == "online":
        return True, f"{value['url']} answers, and there is a login"
    why = f"WANDB_MODE={value['chosen']}" if value["chosen"] else "there is no login"
    return True, f"runs are {value['mode']}: {why}"
