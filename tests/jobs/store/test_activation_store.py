"""Reading: any row by prompt and position, any slice, as arrays or tensors, and clear refusals."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.errors import SurroundingsError, UserError
from jobs.store.activation_store import ActivationStore
from jobs.store.row_index import RowIndex
from jobs.store.store_folder import StoreFolder
from jobs.store.store_layout import INDEX, MARKER
from jobs.store.unit_arrays import UnitArrays

D = 6
CUTS = {"one shard": 2**20, "many shards": 400}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("cut", CUTS)
def test_all_rows_come_back_in_the_plans_order_wherever_they_were_cut(
    open_store, plan, dtype, cut, rows_at
):
    store = open_store(dtype=dtype, shard_bytes=CUTS[cut])
    tokens = np.arange(len(plan.token_ids))
    for place in (("resid_mid", 3), ("mlp_out", 1)):
        rows = store.stored(*place, "all")
        np.testing.assert_array_equal(rows.index.tokens, tokens)
        np.testing.assert_array_equal(rows.index.prompts, plan.prompts[plan.owners])
        np.testing.assert_array_equal(rows.index.positions, plan.within)
        assert rows.shape == (len(tokens), D) and rows.dtype == dtype
        np.testing.assert_array_equal(rows[:], rows_at(tokens, place))


def test_bfloat16_rows_are_tensors_of_bfloat16_and_arrays_of_float32(open_store):
    store = open_store(dtype="bfloat16")
    tensor = store.stored("mlp_out", 1, "all", "torch")[5:9]
    array = store.stored("mlp_out", 1, "all")[5:9]
    assert tensor.dtype == torch.bfloat16 and array.dtype == np.float32
    np.testing.assert_array_equal(tensor.float().numpy(), array)
    assert store.row(0, 1, site="mlp_out", layer=1, label="all", framework="torch").shape == (D,)


def test_an_index_a_slice_a_list_and_a_mask_read_the_same_rows(open_store):
    rows = open_store(shard_bytes=400).stored("resid_mid", 1, "all")
    whole = rows[:]
    np.testing.assert_array_equal(rows[7], whole[7])
    np.testing.assert_array_equal(rows[3:50:4], whole[3:50:4])
    np.testing.assert_array_equal(rows[[40, 2, 2]], whole[[40, 2, 2]])
    np.testing.assert_array_equal(rows[rows.index.reservoir], whole[rows.index.reservoir])
    assert rows[5:5].shape == (0, D)


def test_a_slice_opens_only_the_shards_it_needs(open_store):
    store = open_store(shard_bytes=400)
    opened = []
    path = store.files.path
    store.files.path = lambda name: opened.append(name) or path(name)
    rows = store.stored("resid_mid", 1, "all")  # the tokens of every block are read for this
    before = len(opened)
    for unit in store.units:
        unit._shards.clear()
    _ = rows[20:22]
    assert before > 20
    assert 1 <= len(opened) - before <= 2


def test_every_stored_row_is_found_by_prompt_and_position(open_store, plan, rows_at):
    store = open_store(shard_bytes=400)
    for number in (0, 11, 29):
        for position in range(plan.lengths[number]):
            token = plan.offsets[number] + position
            row = store.row(
                int(plan.prompts[number]), position, site="mlp_out", layer=3, label="all"
            )
            np.testing.assert_array_equal(row, rows_at(np.array([token]), ("mlp_out", 3))[0])


def refusal(store, prompt, position):
    with pytest.raises(UserError) as raised:
        store.row(prompt, position, site="mlp_out", layer=3, label="all")
    return str(raised.value)


def test_negative_positions_are_refused_because_rows_are_padded_on_the_right(open_store, plan):
    """Lesson 23: a negative index with padding on the right picks a pad."""
    last = plan.lengths[list(plan.prompts).index(50)] - 1
    said = refusal(open_store(), 50, -1)
    assert "no position -1" in said and f"its last token is {last}" in said


def test_a_prompt_that_is_not_there_is_answered_with_the_nearest(open_store):
    said = refusal(open_store(), 52, 0)
    assert "no prompt 52" in said and "the nearest is 50" in said and "0 to 290" in said


def test_a_position_with_many_rows_must_be_named(open_store):
    assert "stored positions: 0, 1" in refusal(open_store(), 50, None)


@given(st.sets(st.integers(0, 99), min_size=1), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_rows_are_found_or_the_nearest_stored_position_is_named(plan, tokens, seed):
    tokens = np.array(sorted(tokens))
    mixed = np.random.default_rng(seed).permutation(tokens)
    parts = np.array_split(mixed, 3)
    index = RowIndex.of_blocks(plan, [(part, part % 2 == 0) for part in parts])
    np.testing.assert_array_equal(index.tokens, tokens)
    np.testing.assert_array_equal(index.reservoir, tokens % 2 == 0)
    for token in range(int(plan.offsets[-1])):
        owner = plan.owners[token]
        prompt, position = int(plan.prompts[owner]), int(plan.within[token])
        if token in tokens:
            row = index.find(prompt, position)
            assert parts[index.blocks[row]][index.rows[row]] == token
            continue
        with pytest.raises(UserError) as raised:
            index.find(prompt, position)
        others = plan.within[tokens[plan.owners[tokens] == owner]]
        if len(others):
            nearest = others[np.abs(others - position).argmin()]
            assert raised.value.hint == f"the nearest is {nearest}"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("resid_mit", 1, "all"), "did you mean 'resid_mid'"),
        (("mlp_act", 1, "all"), "it has none"),
        (("resid_mid", 2, "all"), "layer 2 was not extracted"),
        (("resid_mid", 1, "al"), "did you mean 'all'"),
    ],
)
def test_what_was_not_extracted_is_answered_with_what_was(open_store, place, said):
    store = open_store()
    for read in (store.stored, store.rows, store.sample):
        with pytest.raises(UserError, match=said):
            read(*place)


def test_the_reservoir_is_those_rows_only(open_store, rows_at):
    store = open_store(dtype="bfloat16", shard_bytes=400)
    kept = store.rows("mlp_out", 3, "all")
    tokens = store.base("mlp_out", 3, "all").index.tokens
    assert set(tokens % 3) == {0} and len(tokens) == store.num_reservoir
    np.testing.assert_array_equal(kept.rows, rows_at(tokens, ("mlp_out", 3)))
    assert kept.rows.dtype == np.float32


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_base_rows_stand_beside_those_of_the_reservoir_wherever_they_were_cut(
    open_store, base_at, dtype, cut
):
    store = open_store(dtype=dtype, shard_bytes=CUTS[cut])
    tokens = store.base("mlp_out", 3, "all").index.tokens
    for place in (("mlp_out", 3), ("resid_mid", 1)):
        expected = base_at(tokens, place)
        np.testing.assert_array_equal(store.rows(*place, "all").base, expected)
        np.testing.assert_array_equal(store.sample(*place, "all").reservoir.base, expected)
        base = store.base(*place, "all")
        assert (base.dtype, base.shape) == ("float32", expected.shape)
        np.testing.assert_array_equal(base[5:8], expected[5:8])
        np.testing.assert_array_equal(base.index.tokens, tokens)


def test_rowwise_moments_are_those_of_the_rows_of_each_group(open_store, plan, rows_at):
    store = open_store(shard_bytes=400)
    assert not any("moments" in name for unit in store.units for name in unit)
    sample = store.sample("resid_mid", 1, "all")
    for group, summary in sample.groups.items():
        tokens = np.flatnonzero(plan.groups[plan.owners] == group)
        rows = rows_at(tokens, ("resid_mid", 1)).astype(np.float64)
        assert summary.num_rows == summary.moments.num_rows == len(rows)
        np.testing.assert_allclose(summary.moments.mean, rows.mean(axis=0), rtol=1e-12)
        centred = rows - rows.mean(axis=0)
        np.testing.assert_allclose(
            summary.moments.scatter.dense(), centred.T @ centred, rtol=1e-9, atol=1e-9
        )


def test_rowwise_moments_do_not_depend_on_the_order_in_which_rows_came(
    plan, write_store, tmp_path, monkeypatch
):
    def moments(name, **how):
        store = ActivationStore(StoreFolder(write_store(tmp_path / name, **how)))
        return store.sample("resid_mid", 1, "all").total.moments

    one, other = moments("one"), moments("other", shard_bytes=300)
    assert one.mean.tobytes() == other.mean.tobytes()
    assert one.scatter.values.tobytes() == other.scatter.values.tobytes()


def test_a_unit_of_another_token_plan_is_refused(write_store, tmp_path):
    folder = write_store(tmp_path / "store")
    marker = folder / "units" / "000001" / MARKER
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"token_plan": "0" * 64}))
    store = ActivationStore(StoreFolder(folder))
    with pytest.raises(SurroundingsError, match="unit 000001 is of another token plan"):
        store.stored("resid_mid", 1, "all")


def test_a_token_plan_that_is_not_the_stores_is_refused(write_store, tmp_path):
    folder = write_store(tmp_path / "store")
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index | {"token_plan": "0" * 64}))
    with pytest.raises(SurroundingsError, match="not the store's"):
        _ = ActivationStore(StoreFolder(folder)).token_plan


def test_the_library_reads_what_we_map(published):
    from safetensors import safe_open

    store = ActivationStore(published)
    seen = 0
    for unit in store.units:
        for file in unit.marker["shards"]:
            with safe_open(published.path(f"units/{unit.name}/{file}"), framework="numpy") as other:
                for name in other.keys():  # noqa: SIM118 - it is no mapping
                    mine = unit.raw(name.removeprefix(f"{unit.name}."))
                    np.testing.assert_array_equal(mine, other.get_tensor(name))
                    seen += 1
    assert seen > 100


def test_arrays_of_a_unit_cannot_be_written(published):
    unit: UnitArrays = ActivationStore(published).units[0]
    with pytest.raises(ValueError, match="read-only"):
        unit.raw(next(iter(unit)))[...] = 0
