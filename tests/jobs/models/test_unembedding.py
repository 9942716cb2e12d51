"""The unembedding as vectors of the stream, against the logits that models give."""

import pytest
import torch

from jobs.models.family import family_of, names
from jobs.models.unembedding import unembedding_of

CASES = [*((name, {}) for name in names()), ("opt", {"d_embedding": 6})]


@pytest.mark.parametrize(("family", "change"), CASES)
def test_products_with_a_normed_row_are_its_logits(family, change, tiny_model):
    model = tiny_model(family, **change).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator()))
    normed = []
    norm = model.get_submodule(family_of(family).FINAL_NORM)
    norm.register_forward_hook(lambda _, inputs, output: normed.append(output))
    with torch.no_grad():
        logits = model(torch.arange(2, 8)[None]).logits[0]
    found = normed[0][0] @ unembedding_of(model).T
    bias = getattr(model.get_output_embeddings(), "bias", None)
    found = found if bias is None else found + bias
    cap = getattr(model.config, "final_logit_softcapping", None)
    found = found if cap is None else cap * torch.tanh(found / cap)
    assert logits.std() > 0.1
    torch.testing.assert_close(found, logits, atol=1e-4, rtol=1e-4)
