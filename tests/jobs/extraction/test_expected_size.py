"""What a plan says a store may take, against what real stores take."""

import pytest

from jobs.extraction.extract_params import Params
from jobs.kind import Upstream
from jobs.kinds.extract import Extract

expected_bytes = Extract().expected_bytes

CONFIG = {"family": "gpt2", "num_layers": 3, "d_model": 16, "num_heads": 2, "vocab_size": 22}


def upstream(artifact, **params):
    record = artifact.record
    files = {name: entry.bytes for name, entry in record.files.items()}
    return Upstream(kind=artifact.kind, params=params, facts=record.facts, files=files, inputs={})


def undone(kind, **params):
    return Upstream(kind=kind, params=params, facts=None, files={}, inputs={})


@pytest.fixture
def known(root, pair, plain_prompts):
    inputs, _, _ = pair
    counted = root.prompts("counted", plain_prompts, num_prompts=len(plain_prompts))
    inputs = {**inputs, "prompts": counted}
    return inputs, {name: upstream(artifact) for name, artifact in inputs.items()}


@pytest.mark.parametrize(
    "params",
    [
        {"layers": "all"},
        {"layers": [1], "positions": ["last"], "num_reservoir": 0},
        {"positions": ["all", "mean"], "moments_positions": ["all"], "unit_tokens": 40},
        {"positions": ["response"], "full_rows": ["response"], "rows": "bfloat16"},
        {"sites": ["mlp_act", "resid_post"], "depths": [0.5]},
    ],
)
def test_no_store_is_larger_than_its_plan_said_nor_a_small_part_of_it(root, known, params):
    inputs, planned = known
    planned["base"] = undone("pretrained", config=CONFIG)
    most = expected_bytes(Params(**params), planned)
    store = root.done("extract", params, **inputs)
    taken = sum(e.bytes for name, e in store.record.files.items() if name.startswith("units/"))
    assert taken <= most <= 20 * taken


@pytest.mark.parametrize("params", [{}, {"max_length": 8}, {"sites": ["mlp_act"]}])
def test_sizes_come_from_the_config_or_from_a_record_alike(known, params):
    _, planned = known
    by_record = expected_bytes(Params(**params), planned)
    whole = planned["base"].facts["model"]["config"]
    for config in (whole, {name: whole[name] for name in whole if name != "vocab_size"}):
        base = undone("pretrain", config=config)
        assert expected_bytes(Params(**params), {**planned, "base": base}) == by_record > 0


def test_a_base_that_was_aligned_has_the_sizes_of_what_it_was_made_from(known):
    _, planned = known
    base = undone("pretrained", config=CONFIG)
    aligned = Upstream(kind="align", params={}, facts=None, files={}, inputs={"model": base})
    adapted = Upstream(kind="adapter", params={}, facts=None, files={}, inputs={"base": aligned})
    sizes = {expected_bytes(Params(), {**planned, "base": model}) for model in (base, adapted)}
    assert len(sizes) == 1 and None not in sizes


def test_what_is_not_known_is_not_invented(known):
    _, planned = known
    assert expected_bytes(Params(), {**planned, "prompts": undone("prompts")}) is None
    assert expected_bytes(Params(), {**planned, "base": undone("pretrained")}) is None
    assert expected_bytes(Params(positions=["turn"]), planned) is None
