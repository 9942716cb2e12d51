"""The store: summaries agree with the rows beside them, however units and batches are cut."""

import json

import numpy as np
import pytest
import torch

from cluster.errors import SurroundingsError
from jobs.artifacts.artifact import Artifact
from jobs.store.activation_store import ActivationStore
from jobs.store.unit_writer import UnitWriter

PARAMS = {"layers": [2], "sites": ["resid_post"], "positions": ["response", "mean"]}


def store_of(root, inputs, **params):
    return ActivationStore(root.done("extract", PARAMS | params, **inputs))


@pytest.mark.parametrize("label", ["response", "mean"])
def test_summaries_are_those_of_the_rows(root, pair, label):
    store = store_of(root, pair[0], moments_positions=["response", "mean"])
    rows, sample = store.rows("resid_post", 2, label), store.sample("resid_post", 2, label)
    assert sample.total.num_rows == len(rows.rows)
    assert sorted(sample.groups) == sorted(set(rows.groups))
    for group, summary in sample.groups.items():
        mine = rows.rows[rows.groups == group].astype(np.float64)
        assert summary.num_prompts == len(set(rows.prompts[rows.groups == group]))
        np.testing.assert_allclose(summary.moments.mean, mine.mean(axis=0), atol=1e-12)
        scatter = (mine - mine.mean(axis=0)).T @ (mine - mine.mean(axis=0))
        np.testing.assert_allclose(summary.moments.scatter.dense(), scatter, atol=1e-12)
        units = mine / np.linalg.norm(mine, axis=1, keepdims=True)
        np.testing.assert_allclose(summary.directions.unit_sum, units.sum(axis=0), atol=1e-6)


def test_cutting_otherwise_changes_nothing_but_rounding(root, pair, monkeypatch):
    whole = store_of(root, pair[0]).sample("resid_post", 2, "response").total
    monkeypatch.setitem(UnitWriter.__init__.__kwdefaults__, "shard_bytes", 1000)
    cut = store_of(root, pair[0], unit_tokens=20, token_budget=8)
    assert any(name.endswith("shard-001.safetensors") for name in cut.files.names("units"))
    total = cut.sample("resid_post", 2, "response").total
    assert (total.num_rows, total.num_prompts) == (whole.num_rows, whole.num_prompts)
    np.testing.assert_allclose(total.moments.mean, whole.moments.mean, atol=1e-7)
    np.testing.assert_allclose(
        total.moments.covariance(centred=True), whole.moments.covariance(centred=True), atol=1e-7
    )


def test_moments_are_kept_where_asked_or_where_a_group_has_fewer_rows_than_d(root, pair):
    store = store_of(root, pair[0], positions=["all", "last"], moments_positions=[])
    sample = store.sample("resid_post", 2, "all")
    assert max(group.num_rows for group in sample.groups.values()) >= 16
    assert sample.total.moments is None
    assert store.sample("resid_post", 2, "last").total.moments.num_rows == 48


def test_only_some_rows_are_kept_and_the_summary_is_of_all(root, pair):
    store = store_of(root, pair[0], num_reservoir=10)
    sample = store.sample("resid_post", 2, "response")
    assert len(sample.reservoir.rows) == 10
    everything = store_of(root, pair[0]).rows("resid_post", 2, "response")
    assert sample.total.num_rows == len(everything.rows) > 100
    assert set(sample.reservoir.prompts) <= set(everything.prompts)


def test_a_damaged_shard_is_never_read(root, pair):
    artifact = root.done("extract", PARAMS, **pair[0])
    name = next(name for name in artifact.names("units") if name.endswith(".safetensors"))
    path = root.storage.path(f"{artifact.attempt_folder('1')}/{name}")
    data = bytearray(path.read_bytes())
    data[-3] ^= 16
    path.write_bytes(bytes(data))
    store = ActivationStore(Artifact(root.storage, "extract", artifact.key))
    with pytest.raises(SurroundingsError, match="damaged"):
        store.sample("resid_post", 2, "response")


@pytest.fixture
def small_machine():
    """A machine that cannot hold more than 24 tokens at once."""
    from transformers.models.gpt2.modeling_gpt2 import GPT2Block

    def refuse(module, inputs):
        if isinstance(module, GPT2Block) and inputs[0].shape[0] * inputs[0].shape[1] > 24:
            raise torch.OutOfMemoryError("too many tokens")

    handle = torch.nn.modules.module.register_module_forward_pre_hook(refuse)
    yield
    handle.remove()


def test_when_memory_runs_out_both_models_redo_the_unit_at_a_smaller_budget(
    root, pair, small_machine
):
    store = store_of(root, pair[0], noise_floor_prompts=0)
    artifact = store.files
    markers = [
        json.loads(artifact.read(name)) for name in artifact.names("units") if "UNIT" in name
    ]
    budgets = {marker["token_budget"] for marker in markers}
    assert min(budgets) <= 32 and max(budgets) == 8192
    assert sum(marker["rows"]["mean"] for marker in markers) == 48
    assert len(store.rows("resid_post", 2, "mean").rows) == 48
