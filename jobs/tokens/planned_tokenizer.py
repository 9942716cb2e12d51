"""The tokenizer of a model that is not made yet, as far as this machine has it already."""

from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import UserError
from jobs.kind import KINDS, Upstream
from jobs.models import hub
from jobs.models.checkpoint_files import DESCRIPTIONS
from jobs.models.loading import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_PARENTS = ("model", "base")
"""Inputs under which a model reads the one that its tokenizer comes from."""


def planned_tokenizer(model: Upstream) -> "PreTrainedTokenizerFast | None":
    """Return the tokenizer that a model will have; None where it is not here, or not made yet.

    It is that of the folder, or of the copy in the hub's cache, which the model descends from.
    Nothing is downloaded.
    """
    folder = _folder(model)
    try:
        return None if folder is None else load_tokenizer(folder)
    except UserError:
        return None  # the job that takes the model says what is wrong with it


def _folder(model: Upstream) -> Path | None:
    while parent := next((name for name in _PARENTS if name in model.inputs), None):
        model = model.inputs[parent]
    kind = KINDS.find(model.kind)
    source = kind.source(kind.Params(**model.params))
    if source is None:
        return None
    if not hub.is_on_hub(source.name):
        folder = Path(source.name).expanduser()
        return folder if folder.is_dir() else None
    return hub.cached(source.name, source.revision, DESCRIPTIONS)
