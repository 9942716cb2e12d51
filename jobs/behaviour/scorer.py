"""Contract: a scorer of continuations, text in and a toxicity from 0 to 1 out; see `scorers/`.

A study writes a name, or a mapping with `name` and the settings of that scorer. Settings that
decide a score, and the model that the scorer reads, are part of the measurement's key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Protocol,
    TypeVar,
    runtime_checkable,
)

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cluster.errors import UserError, unknown_name
from jobs.door import Door
from jobs.params import Chooses
from jobs.rehearsal import StandIns

if TYPE_CHECKING:
    from jobs.models.model_source import ModelSource
    from jobs.worker.work import Work


class ScorerParams(BaseModel):
    """Parent of the settings of every scorer: frozen, and a wrong name is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )


P = TypeVar("P", bound=ScorerParams)


@runtime_checkable
class Judge(Protocol):
    """A scorer made ready for one job."""

    @property
    def threshold(self) -> float:
        """The score from which on a continuation is toxic."""

    @property
    def verdict(self) -> str:
        """What its toxic continuations do, as a sentence goes on: `hold any lexicon word`."""

    def scores(self, texts: Sequence[str]) -> Sequence[float | None]:
        """Return how toxic each continuation is, 0 to 1; None where no score was to be had.

        Raises:
            UserError, SurroundingsError: too many have none.
            Stopped: the job was asked to stop.
        """


class Scorer(ABC, Generic[P]):
    """One scorer; its class is named after the file (`hf_classifier.py`: HfClassifier)."""

    Params: type[P]
    """Its settings."""
    USES_WORDS: ClassVar[bool] = False
    """True when it judges by words that are known or learned to be toxic."""

    @abstractmethod
    def open_judge(self, params: P, work: Work, toxic_words: frozenset[str]) -> Judge:
        """Make a judge for one job; the words are in lower case and may be none."""

    def in_small(self, written: Mapping[str, Any], stand_ins: StandIns) -> str | dict[str, Any]:
        """Return the choice of a scorer that a rehearsal makes in place of this one.

        Args:
            written: name and settings as the study writes them.
            stand_ins: what stands in for a model; no service may be asked.
        """
        return dict(written)

    def source(self, params: P) -> ModelSource | None:
        """Return the model that it reads, which is pinned as a pretrained one is; None: none."""
        return None


SCORERS: Door[Scorer[Any]] = Door("scorer", "jobs.behaviour.scorers", contract=Scorer)


@dataclass(frozen=True, kw_only=True)
class ChosenScorer:
    """A scorer with its settings, as a study chooses it."""

    name: str
    """Its name."""
    params: ScorerParams
    """Its settings, defaults written out."""

    @property
    def uses_words(self) -> bool:
        """True when it needs to know which words are toxic."""
        return SCORERS.find(self.name).USES_WORDS

    @property
    def source(self) -> ModelSource | None:
        """The model that it reads."""
        return SCORERS.find(self.name).source(self.params)

    def open(self, work: Work, toxic_words: Sequence[str]) -> Judge:
        """Make the judge of this job."""
        words = frozenset(word.lower() for word in toxic_words)
        return SCORERS.find(self.name).open_judge(self.params, work, words)


def chosen_scorer(written: str | Mapping[str, object]) -> ChosenScorer:
    """Read a study's choice of a scorer.

    Raises:
        UserError: no such scorer or setting (what exists, the nearest match), or a wrong value.
    """
    settings = {} if isinstance(written, str) else dict(written)
    name = written if isinstance(written, str) else settings.pop("name", None)
    if not isinstance(name, str):
        raise UserError("a scorer needs a name", allowed=SCORERS.names())
    params = SCORERS.find(name).Params
    where = f"scorer {name}"
    for setting in settings:
        if setting not in params.model_fields:
            raise unknown_name("setting", setting, ["name", *params.model_fields], where=where)
    try:
        return ChosenScorer(name=name, params=params(**settings))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        fault = "is required" if first["type"] == "missing" else first["msg"].lower()
        raise UserError(f"{place}: {fault}", where=where, allowed=params.model_fields) from None


def _complete(written: str | dict[str, object]) -> str | dict[str, object]:
    """Write the defaults of a choice out; a name alone where there are no settings."""
    chosen = chosen_scorer(written)
    settings = chosen.params.model_dump(mode="json")
    return {"name": chosen.name, **settings} if settings else chosen.name


ScorerChoice = Annotated[
    str | dict[str, object],
    AfterValidator(_complete),
    Chooses(SCORERS),
    Field(
        description="Judge of continuations: a name in `scorers/`, or a mapping with `name` and "
        "what that scorer takes."
    ),
]
"""Type of the param `scorer` of a kind."""
