"""What a kind of job leaves behind and where that comes from: every kind declares it as `LEAVES`.

Whoever judges results asks here (`jobs/comparing/ancestry.py`), so that no name of a kind is
written anywhere else and nothing is guessed for a kind that says nothing.
"""

from dataclasses import dataclass
from enum import Enum

from analysis.long_table.circumstances import Origin


@dataclass(frozen=True, kw_only=True)
class Data:
    """Texts, prompts or preference pairs."""

    origin: Origin | None
    """Where they come from; None: what the format declares that the param `format` names."""


class Model(Enum):
    """A model under `model/`."""

    PUBLISHED = "published"
    """Taken as it is from outside."""
    FROM_SCRATCH = "from scratch"
    """Trained for this study from nothing."""
    ALIGNED = "aligned"
    """Its base (the input `model` or `base`), changed towards preferences."""
    SAME = "same"
    """The model of the input `model`, in another form."""


class Results(Enum):
    """Computed from the inputs alone: no data and no model come in."""

    STORE = "activation store"
    """Activations and differences of two models."""
    VIEWS = "tables and figures"
    """What other jobs measured, laid out."""
    NUMBERS = "numbers"
    """Measurements, scores, directions, or nothing."""


Leaves = Data | Model | Results
