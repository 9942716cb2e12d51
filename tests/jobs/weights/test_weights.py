"""Edits of known rank and direction in a model's weights, found again by the kind `weights`."""

import copy

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from analysis.long_table.files import from_parquet
from cluster.errors import UserError
from jobs.comparing.gathering import collect
from jobs.comparing.sources import Source
from jobs.comparing.view import View
from jobs.kinds.weights import Weights
from jobs.models.family import family_of
from jobs.weights.full_tables import DRIFTS, SHIFTS

weights = Weights()

DIRECTION = torch.randn(16, generator=torch.Generator().manual_seed(4))
DIRECTION /= DIRECTION.norm()


def rows_of(artifact):
    return from_parquet(artifact.read("measurements.parquet")).to_pylist()


def one(rows, metric, **place):
    (row,) = (
        row
        for row in rows
        if row["metric"] == metric and all(row[name] == value for name, value in place.items())
    )
    return row


@pytest.fixture
def measured(root, tiny_model, word_tokenizer, plain_prompts):
    """A function: family, edit of its model -> the job, and what it read."""

    def measure(name, edit, sites=("resid_mid", "resid_post"), params=None):
        base = tiny_model(name, num_layers=3, max_positions=32, d_mlp=52)
        with torch.no_grad():
            for parameter in base.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
        aligned = copy.deepcopy(base)
        blocks = aligned.get_submodule(family_of(name).BLOCKS)
        with torch.no_grad():
            edit(blocks)
        inputs = {
            "base": root.model("base", base, word_tokenizer()),
            "aligned": root.model("aligned", aligned, word_tokenizer(), "align"),
        }
        prompts = root.prompts("plain", plain_prompts)
        given = {"layers": "all", "sites": list(sites), "positions": ["last"]}
        delta = root.done("extract", given, **inputs, prompts=prompts)
        job = root.done("weights", params or {}, **inputs, delta=delta)
        return job, inputs | {"delta": delta}

    draw = torch.Generator().manual_seed(6)
    return measure


def bias_against_value_vectors(blocks):
    """The first MLP writes along DIRECTION, and its value vectors all move the other way."""
    blocks[0].mlp.c_proj.bias += 2 * DIRECTION
    blocks[0].mlp.c_proj.weight -= 1e-3 * DIRECTION


def test_a_planted_bias_and_shift_of_value_vectors_are_found(measured):
    job, _ = measured("gpt2", bias_against_value_vectors)
    rows = rows_of(job)
    at = {"site": "resid_post", "layer": 0, "position": "last"}
    shift = one(rows, "value_vector_shift", **at)
    assert (shift["status"], shift["num_rows"], shift["num_groups"]) == ("ok", 48, 20)
    assert shift["value"] == pytest.approx(-1, abs=2e-3)
    assert shift["value"] < shift["null_low"] < 0 < shift["null_high"]
    assert one(rows, "down_projection_rank1_cosine", **at)["value"] == pytest.approx(1, abs=1e-3)
    # One block on, attention has read what was written and added to it.
    above = {**at, "site": "resid_mid", "layer": 1}
    assert -1 <= one(rows, "value_vector_shift_nearest", **above)["value"] < -0.5
    for name, value in (("", 1), ("_constancy", 1)):
        found = one(rows, f"down_projection_rank1{name}", layer=0, site=None)
        assert found["value"] == pytest.approx(value, abs=1e-3)
        assert found["value"] > found["null_high"]
    still = one(rows, "down_projection_rank1", layer=1, site=None)
    assert (still["value"], still["status"]) == (None, "below_noise_floor")
    first = one(rows, "value_vector_shift", **{**at, "site": "resid_mid"})
    assert (first["value"], first["status"]) == (None, "undefined")


def test_the_full_tables_hold_every_pair_of_layers_and_every_tensor(measured):
    def edit(blocks):
        for number, block in enumerate(blocks):
            block.mlp.c_proj.weight -= 10.0**-number * DIRECTION
            block.mlp.c_proj.bias += DIRECTION

    job, inputs = measured("gpt2", edit)
    shifts = pq.read_table(job.path(SHIFTS)).to_pylist()
    pairs = {(line["site"], line["layer"], line["value_layer"]) for line in shifts}
    assert pairs == {
        *(("resid_mid", layer, below) for layer in range(3) for below in range(layer)),
        *(("resid_post", layer, below) for layer in range(3) for below in range(layer + 1)),
    }
    assert all(line["num_vectors"] == sum(line["counts"]) == 52 for line in shifts)
    assert all(line["low"] <= line["median"] <= line["high"] for line in shifts)
    drifts = {line["name"]: line for line in pq.read_table(job.path(DRIFTS)).to_pylist()}
    from safetensors.numpy import load_file

    base, aligned = (
        load_file(inputs[name].path("model/model.safetensors")) for name in ("base", "aligned")
    )
    assert set(drifts) == set(base)
    for name, line in drifts.items():
        wanted = np.linalg.norm(aligned[name] - base[name]) / np.linalg.norm(base[name])
        assert line["relative_norm"] == pytest.approx(wanted, rel=1e-4)
    rows = rows_of(job)
    by_layer = [one(rows, "weight_drift", layer=layer)["value"] for layer in range(3)]
    assert by_layer == sorted(by_layer, reverse=True)
    whole = one(rows, "weight_drift_whole_least_cosine")
    assert whole["value"] == pytest.approx(min(line["cosine"] for line in drifts.values()))
    assert whole["layer"] is None


@pytest.mark.parametrize("name", ["llama", "gemma2", "opt"])
def test_an_edit_of_rank_one_is_found_where_other_families_keep_value_vectors(measured, name):
    mlp = family_of(name).MLP

    def edit(blocks):
        blocks[0].get_submodule(mlp.down).weight.add_(1e-2 * DIRECTION[:, None])

    rows = rows_of(measured(name, edit)[0])
    share = one(rows, "down_projection_rank1", layer=0, site=None)
    assert share["value"] == pytest.approx(1, abs=1e-3)
    place = {"site": "resid_post", "layer": 0}
    cosine = one(rows, "down_projection_rank1_cosine", **place)
    shift = one(rows, "value_vector_shift", **place)
    # All vectors moved alike, so they stand on one side of whatever the neurons made of it.
    assert cosine["value"] == pytest.approx(-shift["value"], abs=2e-3)
    if name != "gemma2":  # a norm before the stream lets a part of any write go its own way
        assert abs(shift["value"]) == pytest.approx(1, abs=2e-3)


def test_a_site_that_the_family_lacks_is_told_and_the_next_one_measured(measured):
    def edit(blocks):
        blocks[1].mlp.dense_4h_to_h.weight.add_(1e-2 * DIRECTION[:, None])

    rows = rows_of(measured("gpt_neox", edit)[0])
    missing = [row for row in rows if row["site"] == "resid_mid"]
    assert {row["status"] for row in missing} == {"not_defined_for_family"}
    assert all("parallel" in row["reason"] for row in missing)
    found = one(rows, "value_vector_shift_nearest", site="resid_post", layer=1)
    assert found["status"] == "ok"
    first = one(rows, "value_vector_shift_first", site="resid_post", layer=1)
    assert first["status"] == "below_noise_floor"


def test_an_untouched_model_gives_no_geometry_and_no_drift(measured):
    rows = rows_of(measured("gpt2", lambda blocks: None, sites=["resid_post"])[0])
    assert {row["status"] for row in rows} == {"below_noise_floor"}
    assert all(row["reason"] for row in rows)
    assert {row["value"] for row in rows if row["metric"] == "weight_drift"} == {0.0}
    assert {row["value"] for row in rows if row["site"]} == {None}


def test_without_an_extraction_the_weights_are_measured_and_the_rest_says_why(root, measured):
    _, inputs = measured("gpt2", bias_against_value_vectors)
    pair = {name: inputs[name] for name in ("base", "aligned")}
    rows = rows_of(root.done("weights", {}, **pair))
    assert one(rows, "value_vector_shift")["status"] == "not_run"
    assert one(rows, "down_projection_rank1", layer=0)["value"] == pytest.approx(1, abs=1e-3)
    alone = rows_of(root.done("weights", {"metrics": "weight-drift"}, **pair))
    assert {row["metric"].split("_least")[0] for row in alone} == {
        "weight_drift",
        "weight_drift_whole",
    }


def test_an_extraction_of_another_pair_is_refused(root, measured, tiny_model, word_tokenizer):
    _, inputs = measured("gpt2", bias_against_value_vectors)
    model = tiny_model("gpt2", num_layers=3, max_positions=32, d_mlp=52)
    other = root.model("another", model, word_tokenizer(), "align")
    answer, _ = root.run("weights", {}, **{**inputs, "aligned": other})
    assert answer["state"] != "done"
    assert "not of this aligned model" in str(answer)


def test_compare_gathers_it(measured):
    job, _ = measured("gpt2", bias_against_value_vectors)
    failed = Source(
        stage="weights",
        cell={"model": "b"},
        artifact=None,
        status="job_failed",
        reason="it fell over",
    )
    comparison = collect([Source(stage="weights", cell={"model": "a"}, artifact=job), failed])
    shown = ["value_vector_shift", "down_projection_rank1_cosine", "weight_drift_whole"]
    view = View(metrics=shown, depth=0.5)
    table = comparison.table(view)
    cells = {header[1]: line for header, line in zip(table.rows, table.cells, strict=True)}
    assert all(cell.number.value is not None for cell in cells["a"])
    assert all(cell.number.value is None for cell in cells["b"])


def test_a_wrong_name_is_told_when_the_study_is_planned():
    assert weights.uses(weights.Params(metrics="weight_drift")) == {"base", "aligned"}
    assert weights.uses(weights.Params()) == {"base", "aligned", "delta"}
    with pytest.raises(UserError, match="weight_drift"):
        weights.Params(metrics="weight_drft")
