"""Measurements of real extractions: every row has its place, and every gap its reason."""

import math

import numpy as np
import pytest

from analysis.long_table.files import from_parquet
from analysis.metric import METRICS
from cluster.errors import UserError
from jobs.kinds.measure import Measure
from jobs.store.activation_store import ActivationStore

measure = Measure()

IN_ALL = tuple(name for name in METRICS.names() if METRICS.find(name).IN_ALL)
REPORTED = {value for name in IN_ALL for value in METRICS.find(name).REPORTS}


def rows_of(artifact):
    return from_parquet(artifact.read("measurements.parquet")).to_pylist()


@pytest.fixture
def delta(root, pair):
    return root.done("extract", {"depths": [0.5, 1.0]}, **pair[0])


def test_every_metric_is_measured_at_every_place(root, delta):
    rows = rows_of(root.done("measure", {}, delta=delta, against=delta))
    assert {row["metric"] for row in rows} == REPORTED
    places = {(row["site"], row["layer"], row["depth"], row["position"]) for row in rows}
    assert places == {
        (site, layer, layer / 2, position)
        for site in ("resid_mid", "resid_post")
        for layer in (1, 2)
        for position in ("last", "response")
    }
    assert {(row["family"], row["d_model"], row["num_layers"]) for row in rows} == {("gpt2", 16, 3)}
    missing = {row["metric"] for row in rows if row["status"] == "not_run"}
    assert all(name.startswith(("toxic", "turn", "reactivation", "gate")) for name in missing)
    few = {row["metric"] for row in rows if row["status"] == "too_few_rows"}
    refusable = ("subspace_overlap", "effective_rank", "components_90", "intrinsic_dimension")
    assert all(name.startswith(refusable) for name in few)
    assert all(row["status"] in ("ok", "not_run", "too_few_rows") for row in rows)
    assert not {"model", "key"} & set(rows[0])


def test_cka_and_the_null_bands_of_the_base_are_those_of_the_stored_rows(root, delta):
    metrics = ["cka", "mean_cosine", "captured_energy"]
    rows = rows_of(root.done("measure", {"metrics": metrics}, delta=delta, against=delta))
    found = {
        (row["metric"], row["position"]): row
        for row in rows
        if (row["site"], row["layer"]) == ("resid_post", 2)
    }
    kept = ActivationStore(delta).rows("resid_post", 2, "last")
    base, aligned = (each - each.mean(axis=0) for each in (kept.base, kept.base + kept.rows))
    norms = [np.linalg.norm(a.T @ b) for a, b in ((base, base), (aligned, aligned))]
    biased = np.square(np.linalg.norm(base.T @ aligned)) / (norms[0] * norms[1])
    value = found["cka", "last"]
    assert value["num_rows"] == 48 and value["low"] < value["value"] < value["high"]
    assert biased - 0.1 < value["value"] < biased < 1
    band = found["mean_cosine", "response"]
    assert -1 <= band["base_null_low"] < 0 < band["base_null_high"] <= 1
    assert band["base_null_high"] > band["null_high"]  # a tiny model's rows are anisotropic


def test_the_median_norm_is_that_of_the_stored_rows_and_stands_above_its_floor(root, delta):
    rows = rows_of(root.done("measure", {"metrics": ["offset_norm"]}, delta=delta))
    (row,) = (
        row
        for row in rows
        if (row["metric"], row["site"], row["layer"], row["position"])
        == ("offset_norm", "resid_post", 2, "last")
    )
    kept = ActivationStore(delta).rows("resid_post", 2, "last").rows
    assert row["value"] == pytest.approx(np.median(np.linalg.norm(kept, axis=1)), rel=0.02)
    assert 0 <= row["floor"] < row["value"] / 100
    assert row["low"] < row["value"] < row["high"]
    assert all(other["floor"] is None for other in rows if other["metric"] != "offset_norm")


def test_the_same_condition_has_the_same_mean_direction(root, delta):
    rows = rows_of(root.done("measure", {"metrics": ["mean-cosine"]}, delta=delta, against=delta))
    assert all(math.isclose(row["value"], 1.0) for row in rows)


def test_a_comparison_without_the_other_condition_says_so(root, pair, delta):
    other = root.done("extract", {"layers": [1], "positions": ["last"]}, **pair[0])
    job = root.done("measure", {"metrics": ["mean_cosine"]}, delta=delta, against=other)
    rows = {(row["layer"], row["position"]): row for row in rows_of(job)}
    assert rows[1, "last"]["status"] == "ok"
    assert rows[2, "last"]["status"] == rows[1, "response"]["status"] == "not_run"
    assert "no rows at resid_post, layer 2, last" in rows[2, "last"]["reason"]


def test_a_site_that_the_family_lacks_is_a_row_with_its_reason(
    root, tiny_model, word_tokenizer, moved, plain_prompts
):
    base, tokenizer = tiny_model("gpt_neox", max_positions=32), word_tokenizer()
    delta = root.done(
        "extract",
        {"layers": [1], "positions": ["last", "turn"]},
        base=root.model("base", base, tokenizer),
        aligned=root.model("aligned", moved(base), tokenizer, "align"),
        prompts=root.prompts("plain", plain_prompts),
    )
    rows = rows_of(root.done("measure", {"metrics": "participation_ratio"}, delta=delta))
    missing = [row for row in rows if row["site"] == "resid_mid"]
    measured = [row for row in rows if row["site"] == "resid_post"]
    assert [(row["metric"], row["centred"]) for row in missing] == [
        (row["metric"], row["centred"]) for row in measured
    ]
    assert {row["status"] for row in missing} == {"not_defined_for_family"}
    assert all("parallel" in row["reason"] for row in missing)
    assert all(row["value"] > 0 for row in measured)


def test_a_job_of_nothing_but_missing_sites_says_so_and_does_not_fail(
    root, tiny_model, word_tokenizer, moved, plain_prompts
):
    base, tokenizer = tiny_model("gpt_neox", max_positions=32), word_tokenizer()
    delta = root.done(
        "extract",
        {"layers": [1], "sites": ["resid_mid"]},
        base=root.model("base", base, tokenizer),
        aligned=root.model("aligned", moved(base), tokenizer, "align"),
        prompts=root.prompts("plain", plain_prompts),
    )
    rows = rows_of(root.done("measure", {}, delta=delta))
    assert {row["metric"] for row in rows} == REPORTED
    assert {row["status"] for row in rows} == {"not_defined_for_family"}


def test_a_model_against_itself_is_below_the_noise_floor(root, pair):
    """Lesson 6: small drift is told from noise by measuring the noise."""
    inputs, _, _ = pair
    same = root.done("extract", {"layers": [1]}, **{**inputs, "aligned": inputs["base"]})
    rows = rows_of(root.done("measure", {"metrics": ["offset_norm"]}, delta=same))
    assert {row["status"] for row in rows} == {"below_noise_floor"}
    assert all(row["value"] == 0 for row in rows)


def test_other_inputs_are_used_only_by_metrics_that_need_them():
    assert measure.uses(measure.Params(metrics=["offset_norm"])) == {"delta"}
    assert measure.uses(measure.Params(metrics=["mean_cosine"])) == {"delta", "against"}
    assert measure.uses(measure.Params(metrics=["toxic_projection"])) == {"delta", "toxic"}
    assert measure.uses(measure.Params(metrics="all")) == {"delta", "against", "toxic"}


def test_all_stands_for_the_metrics_that_are_meant_and_a_wrong_name_for_none():
    assert measure.Params(metrics="all").metrics == IN_ALL
    assert set(METRICS.names()) - set(IN_ALL) == {"first_token_cosine", "shared_part"}
    with pytest.raises(UserError, match="did you mean 'offset_norm'"):
        measure.Params(metrics=["offset_nrm"])
