"""The control that trains nothing: an instrument that sees an effect here is broken."""

import json

import pandas
import pytest

from jobs.kinds.align import Align
from jobs.models.loading import load_model

align = Align()

SITES = ["resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "mlp_act"]
EXTRACT = {"sites": SITES, "positions": ["last", "response", "mean"], "layers": [0, 1, 2]}


@pytest.fixture
def control(root, pair):
    """An extraction of a base against itself, saved once more by `align`."""
    inputs, _, _ = pair
    unaligned = root.done("align", {"objective": "unaligned"}, model=inputs["base"])
    return root.done("extract", EXTRACT, **{**inputs, "aligned": unaligned}), unaligned, inputs


def test_every_weight_of_the_control_is_its_bases(control):
    _, unaligned, inputs = control
    first, second = (
        load_model(each.directory("model")).state_dict() for each in (inputs["base"], unaligned)
    )
    assert first.keys() == second.keys()
    assert all(bool((first[name] == second[name]).all()) for name in first)
    assert unaligned.facts["training"] == {"objective": "unaligned", "steps": 0}
    assert unaligned.facts["model"] == inputs["base"].facts["model"]


def test_nothing_that_is_measured_of_it_stands_above_the_noise_floor(root, control):
    delta, _, _ = control
    measured = root.done("measure", {}, delta=delta)
    rows = pandas.read_parquet(measured.path("measurements.parquet"))
    with_floor = rows[rows.floor.notna()]
    places = with_floor[["site", "layer", "position"]].drop_duplicates()
    assert len(places) == len(SITES) * 3 * 3
    assert (with_floor.value <= with_floor.floor).all()
    assert not (with_floor.status == "ok").any()
    without = rows[
        rows.floor.isna() & ~rows.metric.str.startswith(("offset_norm", "relative_norm"))
    ]
    assert len(without)
    assert not (without.status == "ok").any(), without[without.status == "ok"]


def test_it_reads_its_model_alone_whatever_a_study_gives():
    assert align.uses(align.Params(objective="unaligned")) == {"model"}


def test_nothing_of_training_needs_to_be_said_of_it(control):
    _, unaligned, _ = control
    assert unaligned.read("training_log.jsonl") == b""
    card = unaligned.read("model/README.md").decode()
    assert "| steps | 0 |" in card and json.dumps("unaligned").strip('"') in card
