"""What processes that compute on GPUs are started with."""

import os
from importlib.metadata import PackageNotFoundError

import pytest
import torch

from cluster.executors.local import Executor
from cluster.machine.gpu_variables import gpu_variables
from cluster.machine.resources import Resources

NAMES = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "CUBLAS_WORKSPACE_CONFIG")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_what_the_machines_were_started_with_stays(monkeypatch):
    assert {"PYTORCH_CUDA_ALLOC_CONF", "CUBLAS_WORKSPACE_CONFIG"} <= gpu_variables().keys()
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "backend:cudaMallocAsync")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    assert gpu_variables().keys().isdisjoint(NAMES)


def test_the_torch_that_is_installed_knows_each_of_its_allocators_settings():
    with open(f"{torch.__path__[0]}/lib/libc10.so", "rb") as stream:
        known = stream.read()
    for setting in gpu_variables()["PYTORCH_CUDA_ALLOC_CONF"].split(","):
        name = setting.partition(":")[0]
        torch._C._accelerator_setAllocatorSettings(setting)
        assert name[:15].encode() in known, name


def test_no_pinned_piece_is_handed_out_for_more_than_it_holds():
    """torch 2.13 looks for a kept piece by the power of two above its size, and by no more."""
    settings = dict(each.split(":") for each in gpu_variables()[NAMES[0]].split(","))
    rounded, kept = (
        int(settings[name])
        for name in ("pinned_max_round_threshold_mb", "pinned_max_cached_size_mb")
    )
    assert kept <= rounded, "pieces of any size would be kept"


@pytest.mark.parametrize(
    ("torch_version", "knows"),
    [
        ("2.11.0", False),
        ("2.12.1+cu130", False),
        ("2.13.0+cpu", True),
        ("2.14.1", True),
        ("3.0", True),
        ("2.13.0a0+git1a2b3c4", False),
        (None, False),
    ],
)
def test_a_torch_is_told_no_setting_that_it_may_not_know(monkeypatch, torch_version, knows):
    """An unknown one ends the first use of a GPU: "Unrecognized key"."""

    def version(name):
        if torch_version is None:
            raise PackageNotFoundError(name)
        return torch_version

    monkeypatch.setattr("cluster.machine.gpu_variables.version", version)
    settings = gpu_variables()[NAMES[0]].split(",")
    assert settings[0] == "expandable_segments:True"
    assert any("pinned" in setting for setting in settings) is knows


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_a_launch_without_ray_sets_them_for_its_own_process(monkeypatch, num_gpus):
    monkeypatch.setattr(
        "cluster.executors.local.this_machine", lambda: Resources(num_cpus=1, num_gpus=num_gpus)
    )
    for name in {*NAMES, *gpu_variables()}:  # so that they are put back
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    Executor().start()
    assert ("expandable_segments" in os.environ.get(NAMES[0], "")) is bool(num_gpus)
