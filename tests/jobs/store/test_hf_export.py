"""The export: every tensor of the store comes back through the index, and nothing was copied."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from cluster.errors import UserError
from jobs.store.hf_export import export_hf_index


def test_every_tensor_comes_back_through_the_index(open_store, tmp_path):
    store = open_store(dtype="bfloat16", shard_bytes=400)
    path = export_hf_index(store, tmp_path / "export")
    index = json.loads(path.read_text())
    assert path.name == "model.safetensors.index.json"
    assert set(index) == {"metadata", "weight_map"}
    names = {f"{unit.name}.{name}" for unit in store.units for name in unit}
    assert set(index["weight_map"]) == names and len(names) > 100
    total = 0
    for unit in store.units:
        for name in unit:
            full = f"{unit.name}.{name}"
            with safe_open(path.parent / index["weight_map"][full], framework="pt") as file:
                tensor = file.get_tensor(full)
            total += tensor.nbytes
            if tensor.dtype == torch.bfloat16:
                tensor = tensor.float()
            np.testing.assert_array_equal(tensor.numpy(), unit[name])
    assert index["metadata"] == {"total_size": total}


def test_a_module_of_these_names_is_loaded_by_the_hubs_own_loader(open_store, tmp_path):
    from huggingface_hub import load_torch_model

    store = open_store(shard_bytes=400)
    path = export_hf_index(store, tmp_path / "export")

    class Rows(torch.nn.Module):
        """The rows of one block."""

        def __init__(self):
            super().__init__()
            shape = store.units[0].shape("mlp_out.1.all.rows.000")
            self.empty = torch.nn.Parameter(torch.zeros(shape))

        def _load_from_state_dict(self, state, *_):
            self.empty.data.copy_(state.get("000000.mlp_out.1.all.rows.000", self.empty))

    module = Rows()
    load_torch_model(module, path.parent, strict=False)
    np.testing.assert_array_equal(
        module.empty.detach().numpy(), store.units[0]["mlp_out.1.all.rows.000"]
    )


def test_shards_are_linked_and_not_copied(open_store, tmp_path):
    store = open_store()
    folder = export_hf_index(store, tmp_path / "export").parent
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) == len(store.units)
    assert all(shard.stat().st_nlink == 2 for shard in shards)


def test_a_folder_with_something_in_it_is_left_alone(open_store, tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "mine").write_text("kept")
    with pytest.raises(UserError, match="not empty"):
        export_hf_index(open_store(), tmp_path / "export")
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["mine"]
