"""Which ways were asked for: words as `webhook:env:SLACK_URL`, of a profile, a user or a flag."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.errors import UserError
from orchestrator.notices.way import WAYS, Notice, Way

NOBODY = "none"
"""Word by which one launch tells nobody, whatever files say."""


@dataclass(frozen=True)
class ChosenWay:
    """A way, and what it needs to know."""

    name: str
    """Name of the way."""
    reference: str
    """Where what it needs is to be found; empty where it needs nothing."""

    @property
    def way(self) -> Way:
        """The way itself."""
        return WAYS.find(self.name, where="notify")

    def __str__(self) -> str:
        return f"{self.name}:{self.reference}" if self.reference else self.name

    @property
    def uses(self) -> str:
        """What it does in the user's name."""
        return self.way.uses(self.reference)

    def require(self) -> None:
        """Check that what it names is there. Raises UserError."""
        self.way.require(self.reference)

    def send(self, notice: Notice) -> None:
        """Send a notice. Raises NotSent or UserError."""
        self.way.send(self.reference, notice)


def read_way(word: str) -> ChosenWay:
    """Read one word, as `webhook:env:SLACK_URL`, `command:~/bin/tell` or `wandb`.

    Raises:
        UserError: there is no such way, or its reference is wrong.
    """
    name, colon, reference = word.strip().partition(":")
    way = WAYS.find(name, where="notify")
    if way.REFERENCE is None and colon:
        raise UserError(f"nothing stands behind {name!r}", where="notify", allowed=[name])
    if way.REFERENCE is not None and not reference:
        raise UserError(
            f"{name!r} needs what stands behind it",
            where="notify",
            allowed=[f"{name}:{way.REFERENCE}"],
        )
    way.check(reference)
    return ChosenWay(name, reference)


def read_ways(words: Iterable[str]) -> Sequence[ChosenWay]:
    """Read words, each way once, in order; none where one of them is `none`. Raises UserError."""
    written = list(words)
    ways = [read_way(word) for word in written if word.strip() != NOBODY]
    return () if len(ways) < len(written) else tuple(dict.fromkeys(ways))
