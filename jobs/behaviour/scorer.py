"""Contract: a scorer of continuations, text in and how toxic it is out. Scorers live in `scorers/`.

In a study it is a name, or a mapping with a name and what the scorer takes besides. What it reads
or asks is part of the measurement's key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cluster.errors import UserError, unknown_name
from jobs import lookup

if TYPE_CHECKING:
    from jobs.models.source import Source
    from jobs.worker.work import Work


class ScorerParams(BaseModel):
    """Parent of what a scorer takes besides its name: frozen, and a wrong name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


@runtime_checkable
class Judge(Protocol):
    """A scorer made ready for one job."""

    threshold: float
    """The score from which on a continuation is toxic."""
    verdict: str
    """What its toxic continuations do, as a sentence goes on: `hold any lexicon word`."""

    def scores(self, texts: Sequence[str]) -> list[float | None]:
        """How toxic each continuation is, 0 to 1; None where no score was to be had.

        Raises UserError or SurroundingsError where too many have none, Stopped when asked to stop.
        """


class Scorer(Protocol):
    """The names a module in `scorers/` defines."""

    Params: type[ScorerParams]
    """What it takes besides its name."""
    USES_WORDS: bool
    """True when it judges by words that are known or learned to be toxic."""

    def open_judge(self, params: Any, work: Work, toxic_words: frozenset[str]) -> Judge:
        """Make it ready; the words are in lower case and may be none."""

    # One more name is optional:
    # - source(params) -> Source: the model that it reads; pinned as a pretrained one is.


@dataclass(frozen=True, kw_only=True)
class ChosenScorer:
    """A scorer with its params, as a study chooses it."""

    name: str
    """Its name."""
    params: ScorerParams
    """What it takes, defaults written out."""
    scorer: Any
    """Its module."""

    @property
    def uses_words(self) -> bool:
        """True when it needs to know which words are toxic."""
        return bool(self.scorer.USES_WORDS)

    @property
    def source(self) -> Source | None:
        """The model that it reads."""
        find = getattr(self.scorer, "source", None)
        found: Source | None = None if find is None else find(self.params)
        return found

    def open(self, work: Work, toxic_words: Sequence[str]) -> Judge:
        """The judge that this job asks."""
        words = frozenset(word.lower() for word in toxic_words)
        judge: Judge = self.scorer.open_judge(self.params, work, words)
        return judge


def chosen_scorer(written: str | Mapping[str, Any]) -> ChosenScorer:
    """The scorer that a study names. Raises UserError with what exists and the nearest match."""
    options = {} if isinstance(written, str) else dict(written)
    name = written if isinstance(written, str) else options.pop("name", None)
    if not isinstance(name, str):
        raise UserError("a scorer needs a name", allowed=lookup.names("scorers"))
    scorer = lookup.find("scorers", name)
    known = scorer.Params.model_fields
    for option in options:
        if option not in known:
            where = f"scorer {name}"
            raise unknown_name("setting", option, ["name", *known], where=where)
    try:
        return ChosenScorer(name=name, params=scorer.Params(**options), scorer=scorer)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = "is required" if first["type"] == "missing" else first["msg"].lower()
        raise UserError(f"{place}: {said}", where=f"scorer {name}", allowed=known) from None


def _complete(written: str | dict[str, Any]) -> str | dict[str, Any]:
    """The one way to write a choice: defaults written out, a name alone where there are none."""
    chosen = chosen_scorer(written)
    settings = chosen.params.model_dump(mode="json")
    return {"name": chosen.name, **settings} if settings else chosen.name


ScorerChoice = Annotated[
    str | dict[str, Any],
    AfterValidator(_complete),
    Field(
        description="Judge of continuations: a name in `scorers/`, or a mapping with `name` and "
        "what that scorer takes.",
        json_schema_extra={"settings_of": "scorers"},
    ),
]
"""Type of the param `scorer` of a kind."""
