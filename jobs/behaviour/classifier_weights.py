"""Are the weights of a text classifier all there, its head included, and are they numbers?

Transformers draws at random what a checkpoint lacks, in silence: every run would judge otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from cluster.errors import UserError
from jobs.models.weight_names import is_of_adapter, is_wrapped, some_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_HEAD = re.compile(
    r"(?:^|\.)(?:\w*classifier|\w*classification_head|score|logits_proj|sequence_summary|head)\."
)
"""Names of the modules that make labels of what a model has read."""


def check_names(names: Collection[str], where: str) -> None:
    """Raise UserError where tensors of these names are no whole classifier.

    Args:
        names: of the tensors in its files.
        where: the classifier, in errors.
    """
    odd = [name for name in names if is_of_adapter(name) or is_wrapped(name)]
    if odd:
        raise UserError(
            f"the classifier was saved with an adapter or a wrapper in it: {some_names(odd)}",
            where=where,
            hint="merge_and_unload() an adapter, unwrap the model, and save it with "
            "save_pretrained",
        )
    if names and not any(map(_HEAD.search, names)):
        raise UserError(
            f"the weights hold no head that classifies: found {some_names(names)}",
            where=where,
            hint="name the classifier itself, not the model that it was made from",
        )


def require_whole(
    model: PreTrainedModel, info: Mapping[str, Iterable[str | tuple[str, ...]]], where: str
) -> None:
    """Raise UserError where weights were drawn at random, or are no numbers.

    Args:
        model: the loaded classifier.
        info: what transformers says of its loading.
        where: the classifier, in errors.
    """
    mismatched = (entry[0] for entry in info["mismatched_keys"])
    absent = sorted([*map(str, info["missing_keys"]), *mismatched])
    if absent:
        raise UserError(
            f"{len(absent)} weights of the classifier are missing or of another shape than "
            f"config.json says: {some_names(absent)}",
            where=where,
            hint="they would be drawn at random: save the trained classifier with save_pretrained",
        )
    wrong = [
        name
        for name, weight in model.named_parameters()
        if weight.numel() and not all(end.isfinite() for end in weight.aminmax())
    ]
    if wrong:
        raise UserError(
            f"{len(wrong)} weights of the classifier hold NaN or infinity: {some_names(wrong)}",
            where=where,
            hint="no text would ever be toxic: take a checkpoint of before it diverged",
        )
