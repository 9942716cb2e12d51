"""Which models may stand where a kind takes one."""

import pytest

from jobs.kind import KINDS

TAKES_MODELS = [
    (kind, name)
    for kind in KINDS.names()
    for name, wanted in KINDS.find(kind).INPUTS.items()
    if "pretrained" in wanted.kinds
]


@pytest.mark.parametrize(("kind", "name"), TAKES_MODELS)
def test_a_model_that_was_aligned_may_stand_wherever_a_model_may(kind, name):
    assert KINDS.find(kind).INPUTS[name].kinds >= {"pretrain", "align", "adapter"}


def test_every_kind_that_compares_two_models_is_among_them():
    bases = {kind for kind, name in TAKES_MODELS if name == "base"}
    assert bases >= {"extract", "weights", "predictions", "intervene", "export", "adapter"}
