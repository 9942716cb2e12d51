"""A store without its record, and without its index: the units are enough."""

import json

import numpy as np
import pytest

from cluster.errors import SurroundingsError
from jobs.artifacts.artifact import Artifact
from jobs.store.activation_store import ActivationStore
from jobs.store.store_folder import StoreFolder, rebuild_index
from jobs.store.store_layout import INDEX


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_deleted_index_is_made_again_from_the_units(write_store, tmp_path, dtype):
    folder = write_store(tmp_path / "store", dtype=dtype)
    index = json.loads((folder / INDEX).read_text())
    whole = ActivationStore(StoreFolder(folder)).sample("resid_mid", 3, "all")
    (folder / INDEX).unlink()
    store = ActivationStore(StoreFolder(folder))
    assert rebuild_index(StoreFolder(folder)) == index | {"missing": {}}
    again = store.sample("resid_mid", 3, "all")
    np.testing.assert_array_equal(again.reservoir.rows, whole.reservoir.rows)
    np.testing.assert_array_equal(again.total.moments.mean, whole.total.moments.mean)
    assert store.floor("resid_mid", 3, "all") is None


def test_an_artifact_and_its_bare_folder_read_the_same(published):
    bare = StoreFolder(published.storage.path(published.attempt_folder("one")))
    one, other = ActivationStore(published), ActivationStore(bare)
    np.testing.assert_array_equal(
        one.stored("mlp_out", 1, "all")[:], other.stored("mlp_out", 1, "all")[:]
    )


def test_a_damaged_shard_is_never_read_record_or_not(published):
    folder = published.storage.path(published.attempt_folder("one"))
    shard = folder / "units" / "000001" / "shard-000.safetensors"
    data = bytearray(shard.read_bytes())
    data[-3] ^= 16
    shard.write_bytes(bytes(data))
    fresh = Artifact(published.storage, published.kind, published.key)
    for files in (fresh, StoreFolder(folder)):
        with pytest.raises(SurroundingsError, match="damaged"):
            ActivationStore(files).sample("mlp_out", 1, "all")


def test_units_of_two_plans_make_no_index(write_store, tmp_path):
    folder = write_store(tmp_path / "store")
    marker = folder / "units" / "000000" / "UNIT.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"token_plan": "f" * 64}))
    (folder / INDEX).unlink()
    with pytest.raises(SurroundingsError, match="not all units of the token plan"):
        ActivationStore(StoreFolder(folder))
