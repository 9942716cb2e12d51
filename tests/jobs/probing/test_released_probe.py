"""Probes as people release them, and files that are none."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cluster.errors import UserError
from jobs.kinds.probe_direction import ProbeDirection
from jobs.probing.linear_probe import LinearProbe
from jobs.probing.released_probe import read_probe
from tests.jobs.measuring.test_few_prompts import upstream

WEIGHTS = torch.arange(1.0, 5.0)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        WEIGHTS[None].half(),
        torch.nn.Parameter(WEIGHTS),
        {"weight": WEIGHTS[None], "bias": torch.ones(1)},
        torch.stack([torch.ones(4), WEIGHTS + 1]),
    ],
)
def test_a_vector_is_read_as_torch_saves_it(tmp_path, content):
    torch.save(content, tmp_path / "probe.pt")
    np.testing.assert_array_equal(read_probe(tmp_path / "probe.pt", 4), WEIGHTS.numpy())


def test_other_files_of_one_vector_are_read_too(tmp_path):
    np.save(tmp_path / "probe.npy", WEIGHTS.numpy())
    save_file({"probe": WEIGHTS}, tmp_path / "probe.safetensors")
    for name in ("probe.npy", "probe.safetensors"):
        np.testing.assert_array_equal(read_probe(tmp_path / name, 4), WEIGHTS.numpy())


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda path: torch.save(torch.ones(5), path), "width 4"),
        (lambda path: torch.save({"a": WEIGHTS, "b": WEIGHTS}, path), "width 4"),
        (lambda path: torch.save(torch.zeros(4), path), "zero, or not finite"),
        (lambda path: torch.save(WEIGHTS * np.nan, path), "zero, or not finite"),
        (lambda path: path.write_bytes(b"no probe"), "cannot be read"),
        (lambda path: path.write_bytes(POINTER), "probe.pt is a Git LFS pointer"),
        (lambda path: path.write_bytes(pickle.dumps(Runs(), 2)), "cannot be read"),
    ],
)
def test_what_is_no_probe_is_refused_and_never_run(tmp_path, write, why):
    Runs.marker = tmp_path / "ran"
    write(tmp_path / "probe.pt")
    with pytest.raises(UserError, match=why):
        read_probe(tmp_path / "probe.pt", 4)
    assert not (tmp_path / "ran").exists()


def test_an_unknown_suffix_is_refused_with_those_that_are_read(tmp_path):
    with pytest.raises(UserError) as told:
        read_probe(tmp_path / "probe.pkl", 4)
    assert ".pt" in str(told.value)


class Runs:
    """A pickle that leaves a file behind where it is loaded."""

    def __reduce__(self):
        return (open, (str(type(self).marker), "w"))


@pytest.mark.parametrize("sign", [1, -1])
def test_released_weights_keep_direction_and_length_and_get_a_threshold(sign):
    draw = np.random.default_rng(0)
    toxic = np.arange(200) % 2 == 1
    weights = draw.standard_normal(6) * 3
    rows = draw.standard_normal((200, 6)) + np.outer(toxic, 4 * weights / np.linalg.norm(weights))
    probe = LinearProbe.released(sign * weights, rows, toxic)
    np.testing.assert_allclose(probe.direction * probe.length, sign * weights)
    if sign == 1:
        assert ((probe.scores(rows) > 0) == toxic).mean() > 0.95


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda path: torch.save(torch.ones(16), path), None),
        (lambda path: torch.save(WEIGHTS, path), "width 16"),
        (lambda path: path.write_bytes(POINTER), "Git LFS pointer"),
        (lambda path: path.mkdir(), "a folder, not a file"),
        (lambda path: None, None),  # whoever plans data says that it is not here
    ],
)
def test_a_probe_that_cannot_be_used_is_refused_when_it_is_planned(tmp_path, content, why):
    path = tmp_path / "probe.pt"
    content(path)
    sizes = {"family": "gpt2", "num_layers": 2, "d_model": 16, "num_heads": 2, "vocab_size": 22}
    model = upstream("pretrain", {"config": sizes, "format": "nursery"})
    kind = ProbeDirection()
    params = kind.Params(probe=str(path))
    unknown = upstream("pretrained", {"source": "hf://organisation/name"})
    assert kind.notes(params, {"model": unknown}) == ()
    if why is None:
        assert kind.notes(params, {"model": model}) == ()
        return
    with pytest.raises(UserError, match=why):
        kind.notes(params, {"model": model})
