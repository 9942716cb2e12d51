"""The unembedding of a model as vectors of its residual stream, one for each token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxtyping import Float

from jobs.models.family import family_of_config

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def unembedding_of(model: PreTrainedModel) -> Float[Tensor, "vocabulary d"]:
    """Return the vectors whose products with a normed row of the stream are its logits.

    Without a bias, and before a soft cap. Where embeddings are narrower than the stream (OPT), the
    projection that stands before the unembedding is part of it.
    """
    weight: Tensor = model.get_output_embeddings().weight.detach()
    family = family_of_config(model.config)
    if weight.shape[1] == family.shape(model.config).d_model:
        return weight
    assert family.PROJECTION is not None, "embeddings are not as wide as the stream"
    projection: Tensor = model.get_submodule(family.PROJECTION).weight.detach()
    return weight @ projection
