"""Where every family keeps value vectors: move one, and the MLP writes along it."""

import numpy as np
import pytest
import torch

from jobs.models.family import family_of, names
from jobs.models.loading import load_model
from jobs.store.checkpoint import Checkpoint

LAYER, NEURON = 1, 5
SIZES = {"num_layers": 2, "d_model": 16, "num_heads": 2, "d_mlp": 52}


@pytest.fixture
def saved(tmp_path, tiny_model, word_tokenizer):
    """A function: family -> a folder with a random model; one MLP is no multiple of d wide."""

    def save(name):
        model = tiny_model(name, **SIZES)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=draw))
        model.save_pretrained(tmp_path / name)
        word_tokenizer().save_pretrained(tmp_path / name)
        return tmp_path / name

    draw = torch.Generator().manual_seed(2)
    return save


def seen(model, module, side):
    """What goes into or comes out of a module, [tokens, width]."""
    found = []

    def keep(_, arguments, output):
        found.append((arguments[0] if side == "in" else output).detach())

    handle = module.register_forward_hook(keep)
    with torch.no_grad():
        model(torch.arange(12)[None])
    handle.remove()
    return found[0].reshape(12, -1).double().numpy()


@pytest.mark.parametrize("name", names())
def test_one_value_vector_moves_what_the_mlp_writes_along_it(saved, name):
    folder, family = saved(name), family_of(name)
    model, mlp = load_model(folder), family.MLP
    down = model.get_submodule(f"{family.BLOCKS}.{LAYER}.{mlp.down}")
    before, act = seen(model, down, "out"), seen(model, down, "in")
    step = torch.randn(SIZES["d_model"], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        (down.weight[NEURON] if mlp.inputs_first else down.weight[:, NEURON]).add_(step)
    moved = seen(model, down, "out") - before
    np.testing.assert_allclose(moved, np.outer(act[:, NEURON], step), atol=1e-4)
    model.save_pretrained(folder.with_name("moved"))
    vectors = Checkpoint(folder, "base").value_vectors(LAYER)
    change = Checkpoint(folder.with_name("moved"), "moved").value_vectors(LAYER) - vectors
    assert vectors.shape == (SIZES["d_mlp"], SIZES["d_model"])
    assert list(np.flatnonzero(np.abs(change).sum(axis=1))) == [NEURON]


@pytest.mark.parametrize("name", names())
def test_value_vectors_add_up_to_what_enters_the_stream_but_for_a_factor_per_token(saved, name):
    folder, family = saved(name), family_of(name)
    model, mlp = load_model(folder), family.MLP
    block = model.get_submodule(f"{family.BLOCKS}.{LAYER}")
    down = block.get_submodule(mlp.down)
    written = seen(model, block.get_submodule(mlp.gain or mlp.down), "out")
    if getattr(down, "bias", None) is not None:
        written = written - down.bias.detach().double().numpy()
    vectors = Checkpoint(folder, name).value_vectors(LAYER)
    summed = seen(model, down, "in") @ vectors
    factor = np.linalg.norm(written, axis=1) / np.linalg.norm(summed, axis=1)
    np.testing.assert_allclose(written, factor[:, None] * summed, rtol=1e-3, atol=1e-4)
    assert mlp.gain is not None or np.allclose(factor, 1, rtol=1e-4)


@pytest.mark.parametrize("name", names())
def test_keys_and_gates_have_a_row_or_column_for_every_neuron(saved, name):
    model, mlp = load_model(saved(name)), family_of(name).MLP
    block = model.get_submodule(f"{family_of(name).BLOCKS}.{LAYER}")
    wanted = [SIZES["d_model"], SIZES["d_mlp"]]
    for path in filter(None, (mlp.up, mlp.gate)):
        shape = list(block.get_submodule(path).weight.shape)
        assert shape == (wanted if mlp.inputs_first else wanted[::-1]), path


def test_a_published_checkpoint_without_the_prefix_of_the_language_model_reads_the_same(
    saved, tmp_path
):
    from safetensors.torch import load_file, save_file

    folder = saved("gpt2")
    whole = Checkpoint(folder, "whole")
    kept = whole.value_vectors(0)
    tensors = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    # Masks that the published GPT-2 files hold.
    bare |= {"h.0.attn.bias": torch.ones(1, 1, 4, 4), "h.0.attn.masked_bias": torch.tensor(-1e4)}
    save_file(bare, folder / "model.safetensors")
    read = Checkpoint(folder, "bare")
    np.testing.assert_array_equal(read.value_vectors(0), kept)
    assert read.names == whole.names


def test_bfloat16_weights_are_read_exactly(saved):
    folder = saved("llama")
    model = load_model(folder, dtype="bfloat16")
    model.save_pretrained(folder)
    down = model.get_submodule("model.layers.0.mlp.down_proj").weight.detach()
    np.testing.assert_array_equal(
        Checkpoint(folder, "llama").value_vectors(0), down.float().numpy().T
    )
