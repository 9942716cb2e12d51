"""What a format reads from a source: texts, pairs, prompts, labelled texts; what it leaves out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar

from cluster.errors import UserError
from jobs.text.rows.fault import listed, storable


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A piece of a prompt with one speaker."""

    role: str
    """`prompt`, `response`, `user`, `assistant` or `system`."""
    text: str
    """Its text, any separator included."""
    payload: tuple[int, int] | None = None
    """Start and end, in the text, of the words without a transcript's marks, which alone are
    transformed. None: all of it."""

    @property
    def parts(self) -> tuple[str, str, str]:
        """Return the marks before its words, its words, and the marks after them."""
        start, end = self.payload or (0, len(self.text))
        return self.text[:start], self.text[start:end], self.text[end:]


Side = Literal["chosen", "rejected"]
"""Which answer of a pair."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A prompt with a preferred and a dispreferred continuation; texts join as they are."""

    row: int
    """Row of the source, from 1."""
    prompt: str
    """The text before both continuations."""
    chosen: str
    """The preferred continuation."""
    rejected: str
    """The other one."""
    turns: tuple[Segment, ...] = ()
    """The prompt by speaker, marks included, where the source names speakers."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Text to put before a model: a prompt and its response, or the turns of a dialogue."""

    row: int
    """Row of the source, from 1."""
    source: str
    """The plain prompt or dialogue, which decides its group under every transform."""
    segments: tuple[Segment, ...]
    """Its pieces in order."""
    rejected: Segment | None = None
    """The other answer, where the last piece is the preferred one of a pair; None of no pair."""

    def with_answer(self, side: "Side") -> "Prompt | None":
        """Return the prompt with this side of its pair as its answer; None where it has no pair."""
        if self.rejected is None:
            return None
        return (
            self
            if side == "chosen"
            else replace(self, segments=(*self.segments[:-1], self.rejected))
        )


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A text that people judged."""

    row: int
    """Row of the source, from 1."""
    text: str
    """The text."""
    toxic: bool
    """The judgement."""


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A row that cannot be used."""

    row: int
    """Row of the source, from 1."""
    reason: str
    """Why."""
    malformed: bool = False
    """True for a row that is broken; others are left out by a rule or by the study's options."""
    useless: bool = False
    """True for a whole row that gives nothing by what it says, whatever the options."""


Item = TypeVar("Item", str, Pair, Prompt, Labelled)


@dataclass(frozen=True, kw_only=True)
class Reading(Generic[Item]):
    """What a format read from a source."""

    items: list[Item]
    """Usable rows, in the source's order."""
    dropped: list[Dropped] = field(default_factory=list)
    """The others."""
    toxic_words: tuple[str, ...] | None = None
    """The words known to be toxic, where the source knows them."""
    unused_columns: tuple[str, ...] = ()
    """Columns of the source that nothing reads."""
    notes: tuple[str, ...] = ()
    """What a reader should know of the source's files."""

    num_rows: int | None = None
    """Rows of the source, held-out ones included; None for a source that has none."""

    def malformed(self) -> list[Dropped]:
        """Return the rows that are broken."""
        return [row for row in self.dropped if row.malformed]

    def check_share(self, most: float, where: str | None) -> None:
        """Raise UserError, naming every kind of fault, where a larger share of rows is broken."""
        broken = self.malformed()
        count = len({row.row for row in broken})
        num_rows = self.num_rows or len(self.items) + len(self.dropped)
        if count and count / num_rows > most:
            raise UserError(
                listed(by_reason(broken)),
                where=where,
                hint=f"{count} of {num_rows} rows cannot be used, more than max_dropped {most:g}: "
                "mend the rows, or raise max_dropped",
            )


def by_reason(dropped: Sequence[Dropped]) -> dict[str, list[int]]:
    """Return reason -> numbers of the rows that have it."""
    rows: dict[str, list[int]] = {}
    for item in dropped:
        rows.setdefault(storable(item.reason), []).append(item.row)
    return rows
