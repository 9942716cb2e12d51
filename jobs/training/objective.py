"""Contract: what a model is trained towards. Objectives live in `objectives/`, one per file.

What a run minimises is the loss of the trainer that `make_trainer` returns (TRL's, for most);
`validation_loss` is for validation pairs alone.

Importing one imports no heavy library: planning asks each for its settings and whether it uses the
reference.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float64, Int64

from cluster.errors import UserError
from jobs.door import Door
from jobs.training.tokenized_pairs import TokenizedPair

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from jobs.training.supervision import Supervised


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A hyper-parameter of an objective: a param of kind `align`, under the same name."""

    description: str
    """One sentence; the same in every objective that has a setting of this name."""
    default: float
    """Value where a study gives none."""
    may_be_zero: bool = False
    """True where 0 is allowed; negative values never are."""
    below: float | None = None
    """Values must be less than this; the same in every objective. None: no limit."""
    added: bool = False
    """True for a setting that a later version gave an objective, with a default that means what was
    done before: at its default it stays out of the key."""


BETA = Setting(description="Strength of the tie to the reference.", default=0.1)
"""The setting `beta` of every objective that has one."""


@dataclass(frozen=True, kw_only=True)
class ScoredPairs:
    """Pairs with the sums of log-probability, in nats, that a model gives their completions."""

    pairs: Sequence[TokenizedPair]
    """The pairs."""
    chosen: Float64[np.ndarray, " pairs"] | None
    """Sum over the tokens of each chosen completion; None where nothing scored them."""
    rejected: Float64[np.ndarray, " pairs"] | None
    """Sum over the tokens of each rejected completion; None where nothing scored them."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """All that an objective builds its trainer from."""

    model: PreTrainedModel
    """The model to train, fp32, in memory once."""
    tokenizer: PreTrainedTokenizerBase
    """Tokenizer of the model; only its pad token is used."""
    scored: ScoredPairs
    """The training pairs, scored by the reference when the objective uses one."""
    order: Int64[np.ndarray, " needed"]
    """Index into the pairs of every row of the run, in order."""
    arguments: Mapping[str, object]
    """Arguments of the Trainer that do not depend on the objective."""
    settings: Mapping[str, float]
    """Value of everything in the objective's SETTINGS."""
    seed: int
    """For objectives that draw something themselves."""


class Objective(ABC):
    """What a model is trained towards: the class of a file in `objectives/`, named after it."""

    USES_REFERENCE: ClassVar[bool] = False
    """True when the reference's log-probabilities enter the loss."""
    SETTINGS: ClassVar[Mapping[str, Setting]] = {}
    """Hyper-parameters by name; a study that gives the objective another is refused."""
    SEQUENCES_PER_ROW: ClassVar[int] = 2
    """Sequences that a pair adds to a forward pass; 1 where only one side is trained on."""
    WHOLE_BATCH: ClassVar[bool] = False
    """True when the loss of a pair depends on the other pairs of its forward pass, so that
    splitting the global batch would give other numbers."""
    TRAINS: ClassVar[bool] = True
    """False for a control that leaves the model as it is and reads no pairs."""

    @abstractmethod
    def make_trainer(self, lesson: Lesson) -> Supervised:
        """Make a Trainer that takes our token ids verbatim, with `Supervised` mixed in.

        Args:
            lesson: the model, the data and every setting of the run.
        """

    @abstractmethod
    def validation_loss(
        self, policy: ScoredPairs, reference: ScoredPairs, settings: Mapping[str, float]
    ) -> float:
        """Compute the objective's own loss on validation pairs, in the units of the training loss.

        Args:
            policy: the pairs as the model in training scores them.
            reference: the same pairs as the reference scores them.
            settings: value of everything in SETTINGS.
        """

    @property
    def name(self) -> str:
        """Name of the objective in a study."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    def settings_from(self, given: Mapping[str, float | None]) -> dict[str, float]:
        """Return the value of every setting of this objective by name, defaults written out.

        Args:
            given: what a study says of each setting that some objective has; None where nothing.

        Raises:
            UserError: a value is given for a setting that this objective would ignore, or is 0
                where this objective does not allow it.
        """
        for name, value in given.items():
            if value is not None and name not in self.SETTINGS:
                raise self._ignored(name)
            if value == 0 and not self.SETTINGS[name].may_be_zero:
                raise UserError(f"{name} of objective {self.name!r} must be above 0", where=name)
        return {
            name: setting.default if given[name] is None else float(given[name] or 0.0)
            for name, setting in self.SETTINGS.items()
        }

    def _ignored(self, setting: str) -> UserError:
        having = [name for name in OBJECTIVES.names() if setting in OBJECTIVES.find(name).SETTINGS]
        return UserError(
            f"objective {self.name!r} has no {setting}: it would be ignored",
            where=setting,
            allowed=self.SETTINGS,
            hint=f"leave {setting} out, or null for this objective; "
            f"these have it: {', '.join(having)}",
        )


OBJECTIVES: Door[Objective] = Door("objective", "jobs.training.objectives", contract=Objective)
"""The objectives that there are, by the names that studies use."""
