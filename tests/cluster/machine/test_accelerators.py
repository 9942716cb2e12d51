"""Accelerators by whatever name a driver, Ray or a user gives them."""

import pytest

from cluster.machine import accelerators
from cluster.machine.resources import this_machine

NVIDIA_SMI = """#!/bin/sh
case "$1" in
  --list-gpus) echo "GPU 0: NVIDIA H200"; echo "GPU 1: NVIDIA H200";;
  *) echo 143771; echo 81559;;
esac
"""


@pytest.mark.parametrize(
    ("name", "memory_gb"),
    [
        ("H100", 80),
        ("NVIDIA H100 80GB HBM3", 80),
        ("H100-80GB", 80),
        ("NVIDIA A100-SXM4-80GB", 80),
        ("A100-40G", 40),
        ("NVIDIA H200", 141),
        ("Tesla V100-SXM2-32GB", 32),
        ("NVIDIA GH200 480GB", 96),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 10),
        ("NVIDIA GH900 96GB", 96),
        ("something else", 0),
    ],
)
def test_memory_follows_from_the_name(name, memory_gb):
    assert accelerators.gpu_memory_gb(name) == memory_gb


def test_of_a_memory_size_alone_the_slowest_product_is_assumed():
    a100 = accelerators.find_accelerator("A100-80GB")
    assert a100 is not None and a100.half_flops < accelerators.find_accelerator("H100").half_flops
    assert accelerators.slowest_with(85.0).half_flops == 989e12
    assert accelerators.slowest_with(24.1).half_flops == 70e12
    assert accelerators.slowest_with(4) is None


def test_a_machine_offers_the_memory_of_its_smallest_gpu(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = this_machine()
    assert (found.num_gpus, found.gpu_memory_gb) == (2, 85.5)
