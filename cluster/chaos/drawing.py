"""Reads what `--chaos` says, and draws the faults that it leaves to chance, from a seed."""

import re
from collections.abc import Callable, Collection, Iterator, Sequence, Set
from dataclasses import replace
from random import Random

from cluster.chaos.fault import Fault, fault_names, find_fault
from cluster.chaos.injection import WHERE, Injection, read_injections
from cluster.errors import UserError

_RANDOM = re.compile(r"random(?::(0*[1-9][0-9]*))?")
_USUAL_NUMBER = 10
_MOST_DRAWN = 10_000
_AREAS = {
    ("launch", "write"): ("ledger", "study", "request"),
    ("launch", "append"): ("ledger",),
    ("launch", "read"): ("record", "study"),
    ("job", "write"): ("record", "artifact", "checkpoint", "artifact"),
    ("job", "written"): ("record", "artifact", "checkpoint"),
    ("job", "read"): ("record", "artifact"),
}
"""Who is struck, and where -> areas whose files it writes or reads there."""
_POINTS_OF = {
    "launch": frozenset({"round", "submit", "settle", "append", "write", "read"}),
    "job": frozenset({"attempt", "step", "publish", "published", "write", "written", "read"}),
}
"""Who is struck -> fault points that it comes to."""
_COUNTED = frozenset({"error", "kill-rank", "permission"})
"""Kinds that count against a job, in any way."""
_LATEST_STEP = 12
_LATEST_TIME = 20
_SHARE_OF_SAVING = 0.25
_LONGEST_OUTAGE_S = 5


def read_plan(
    text: str,
    seed: int,
    keys: Sequence[str],
    places: Collection[str],
    *,
    saving: Sequence[str] = (),
) -> list[Injection]:
    """Return the faults that a user asks for, in the order of the words.

    Args:
        text: faults with commas between; `random:N` stands for N drawn ones.
        seed: what is left to chance follows from it.
        keys: keys of the jobs of the study.
        places: names of its stages.
        saving: keys of those jobs that take steps and save between them.

    Raises:
        UserError: a word names no fault or place.
    """
    random, injections = Random(f"deltascale {seed}"), list[Injection]()
    for word in text.split(","):
        drawn = _RANDOM.fullmatch(word.strip())
        if drawn is None and word.strip().startswith("random:"):
            raise UserError(
                "random:N wants a number from 1",
                where=f"{WHERE} {word.strip()}",
                allowed=[f"1 to {_MOST_DRAWN}"],
            )
        if drawn is None:
            injections += read_injections(word, places, is_place=_is_key_of(keys))
        else:
            number = int((drawn[1] or str(_USUAL_NUMBER))[:9])
            if number > _MOST_DRAWN:
                raise UserError(
                    f"{number} faults are too many",
                    where=f"{WHERE} {word}",
                    allowed=[f"1 to {_MOST_DRAWN}"],
                )
            injections += _drawn(number, random, keys, saving)
    return [
        replace(injection, draw=Random(f"{seed}/{number}").getrandbits(30))
        for number, injection in enumerate(injections)
    ]


def _is_key_of(keys: Sequence[str]) -> Callable[[str], bool]:
    return lambda word: len(word) >= 4 and any(key.startswith(word) for key in keys)


def _drawn(
    number: int, random: Random, keys: Sequence[str], saving: Sequence[str]
) -> list[Injection]:
    """Draw faults, all kinds equally often; no job meets two that count against it."""
    kinds, jobs = _deck(random), _jobs(random, keys, saving)
    drawn, struck = list[Injection](), set[str]()
    for _ in range(number):
        injection = _one(next(kinds), random, jobs, len(keys))
        if injection.name in _COUNTED:
            injection = _elsewhere(injection, struck, keys)
            struck.update(injection.labels)
        drawn.append(injection)
    return drawn


def _elsewhere(injection: Injection, struck: Set[str], keys: Sequence[str]) -> Injection:
    """Return a fault in another job, where its job has been struck and another has not."""
    if struck.isdisjoint(injection.labels):
        return injection
    free = next((key[:16] for key in keys if key[:16] not in struck), injection.labels[0])
    area = "artifact" if injection.area == "checkpoint" else injection.area
    return replace(injection, labels=(free,), number=1, area=area)


def _deck(random: Random) -> Iterator[tuple[str, Fault]]:
    names = [name for name in fault_names() if find_fault(name).IS_DRAWN]
    while True:
        random.shuffle(names)
        yield from ((name, find_fault(name)) for name in names)


def _jobs(random: Random, keys: Sequence[str], saving: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield keys, and whether the job saves; a job that does comes again and again."""
    others = [key for key in keys if key not in saving] or list(keys)
    while True:
        for key in random.sample(others, len(others)):
            if saving and random.random() < _SHARE_OF_SAVING:
                yield random.choice(saving), True
            yield key, key in saving


def _one(
    drawn: tuple[str, Fault], random: Random, jobs: Iterator[tuple[str, bool]], num_jobs: int
) -> Injection:
    name, kind = drawn
    key, saves = next(jobs)
    who, point = random.choice(
        [(who, point) for who in kind.WHO for point in kind.POINTS if point in _POINTS_OF[who]]
    )
    areas = _AREAS.get((who, point), ())
    area = random.choice(areas) if areas else None
    if area == "checkpoint" and not saves:
        area = "artifact"
    amount = kind.AMOUNT or 0.0
    if kind.LASTS and areas:
        amount = float(random.choice((0, random.randint(1, _LONGEST_OUTAGE_S))))
    return Injection(
        name=name,
        amount=amount,
        point=point,
        area=area,
        labels=(key[:16],) if who == "job" else (),
        number=_number(random, who, point, num_jobs, saves=saves),
    )


def _number(random: Random, who: str, point: str, num_jobs: int, *, saves: bool) -> int:
    """Draw which time it strikes: in the midst of a launch, or of a job that takes steps."""
    if who == "launch":
        return random.randint(1, max(_LATEST_TIME, num_jobs // 4))
    return random.randint(1, _LATEST_STEP) if point == "step" and saves else 1
