"""`Injection`: one fault that is to be injected, where and when; and how a user writes it.

    NAME[=AMOUNT][@PLACE]…[:NUMBER]      kill-rank@aligned:3, stall=60@delta, enospc@ledger

A place is a fault point, an area of the root, or whatever else the caller knows places by (a stage,
a job). The number is the step, or which time it happens in one process.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from cluster.chaos.areas import AREAS
from cluster.chaos.fault import Fault, find_fault
from cluster.errors import UserError, unknown_name
from cluster.fault_points import POINTS

WHERE = "--chaos"
_FORM = re.compile(r"([a-z][a-z-]*)(?:=([0-9.]+))?((?:@[^@:,\s]+)*)(?::([0-9]+))?")
_HINT = "NAME[=AMOUNT][@PLACE][:NUMBER], with commas between; `--chaos help` lists them"
_MOST = 1e5
IsPlace = Callable[[str], bool]

_FILE_POINTS = frozenset({"write", "append", "written", "read"})


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One fault, and where and when it strikes, once."""

    name: str
    """Its kind, a name in `faults/`."""
    amount: float
    """How much of it, in the unit of its kind; 0 where it has none."""
    point: str
    """The fault point at which it strikes."""
    area: str | None
    """The area of the root that a file must lie in; None: any."""
    labels: tuple[str, ...]
    """What the place must be called besides: a stage, the beginning of a key."""
    number: int
    """The step, or which time it happens in one process, from 1."""
    draw: int = 0
    """A number drawn from the seed, for what is left to chance."""

    @property
    def kind(self) -> Fault:
        """The kind of fault."""
        return find_fault(self.name)

    @property
    def words(self) -> str:
        """The fault as a user writes it."""
        kind = self.kind
        amount = "" if self.amount == (kind.AMOUNT or 0.0) else f"={self.amount:g}"
        point = "" if self.point == _usual_point(kind, self.area) else f"@{self.point}"
        area = f"@{self.area}" if self.area else ""
        labels = "".join(f"@{label}" for label in self.labels)
        number = "" if self.number == 1 else f":{self.number}"
        return f"{self.name}{amount}{labels}{area}{point}{number}"

    def as_json(self) -> dict[str, object]:
        """Return it for a file."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, object]) -> "Injection":
        """Read what `as_json` gave."""
        labels = values["labels"]
        assert isinstance(labels, Sequence)
        return cls(**{**values, "labels": tuple(labels)})  # type: ignore[arg-type]


def read_injections(
    text: str, places: Collection[str] = (), *, is_place: IsPlace | None = None
) -> list[Injection]:
    """Read what a user wrote, with commas between the faults.

    Args:
        text: the words.
        places: what else a place may be called, such as stages.
        is_place: a function that tells whether a word that is none of them names a place all the
            same, such as the beginning of a key.

    Raises:
        UserError: a word names no fault or no place, or a number is none.
    """
    return [_read(word.strip(), places, is_place) for word in text.split(",") if word.strip()]


def _read(word: str, places: Collection[str], is_place: IsPlace | None) -> Injection:
    form = _FORM.fullmatch(word)
    if form is None:
        raise UserError(f"{word!r} names no fault", where=WHERE, hint=_HINT)
    name, amount, at, number = form.groups()
    kind = find_fault(name)
    point, area, labels = None, None, list[str]()
    for place in at.split("@")[1:]:
        if place in places or (is_place is not None and is_place(place)):
            labels.append(place)
        elif place in POINTS:
            point = _checked_point(word, kind, place)
        elif place in AREAS:
            area = place
        else:
            raise unknown_name(
                "place", place, {*places, *kind.POINTS, *AREAS}, where=f"{WHERE} {word}"
            )
    if area is not None and not _FILE_POINTS & set(kind.POINTS):
        raise UserError(
            f"{name!r} strikes at no file", where=f"{WHERE} {word}", allowed=[*places, *kind.POINTS]
        )
    return Injection(
        name=name,
        amount=_checked_amount(word, kind, amount),
        point=point or _usual_point(kind, area),
        area=area,
        labels=tuple(labels),
        number=_checked_number(word, number),
    )


def _usual_point(kind: Fault, area: str | None) -> str:
    """Return where a kind strikes unless somebody says where: in an area, at files."""
    if area is None:
        return kind.POINTS[0]
    return next(point for point in kind.POINTS if point in _FILE_POINTS)


def _checked_point(word: str, kind: Fault, point: str) -> str:
    if point not in kind.POINTS:
        raise UserError(
            f"it does not strike at {point!r}", where=f"{WHERE} {word}", allowed=kind.POINTS
        )
    return point


def _checked_number(word: str, text: str | None) -> int:
    number = 1 if text is None else int(text[:9])
    if number < 1:
        raise UserError("the number counts from 1", where=f"{WHERE} {word}")
    return number


def _checked_amount(word: str, kind: Fault, text: str | None) -> float:
    if text is None:
        return kind.AMOUNT or 0.0
    if kind.AMOUNT is None:
        raise UserError("this fault has no amount", where=f"{WHERE} {word}", hint=_HINT)
    try:
        amount = float(text)
    except ValueError:
        amount = _MOST + 1
    if amount > _MOST:
        raise UserError(
            f"{text!r} is no number of {kind.UNIT}",
            where=f"{WHERE} {word}",
            allowed=[f"0 to {_MOST:g}"],
        )
    return amount
