"""Accelerators by whatever name a driver, torch, Ray or a user gives them."""

import pytest

from cluster.machine import accelerators
from cluster.machine.accelerators import find_accelerator, nearest_product, planned_as
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


@pytest.mark.parametrize(
    ("name", "product", "half_tflops"),
    [
        ("NVIDIA A100-SXM4-40GB", "A100-40GB", 312),
        ("NVIDIA A100 80GB PCIe", "A100-80GB", 312),
        ("A100-80G", "A100-80GB", 312),
        ("NVIDIA H100 80GB HBM3", "H100", 989),
        ("NVIDIA H100 PCIe", "H100-PCIE", 756),
        ("NVIDIA H100 NVL", "H100-NVL", 835),
        ("NVIDIA H200 NVL", "H200-NVL", 835),
        ("NVIDIA L40", "L40", 181),
        ("L40S-48GB", "L40S", 362),
        ("NVIDIA A10", "A10", 125),
        ("A10G", "A10G", 70),
        ("NVIDIA RTX A6000", "A6000", 154.8),
        ("NVIDIA RTX 6000 Ada Generation", "RTX-6000-ADA", 364.2),
        ("RTX6000Ada", "RTX-6000-ADA", 364.2),
        ("Quadro RTX 6000", "RTX-6000", 130.5),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX-PRO-6000", 503.8),
        ("NVIDIA GeForce RTX 4090", "4090", 165.2),
        ("rtx4090", "4090", 165.2),
        ("NVIDIA GeForce RTX 3080 Ti", "3080-TI", 68),
        ("Tesla T4", "T4", 65),
    ],
)
def test_products_are_told_apart_by_name_and_not_by_memory(name, product, half_tflops):
    accelerator = find_accelerator(name)
    assert (accelerator.name, accelerator.half_flops) == (product, half_tflops * 1e12)


def test_a_product_of_several_sizes_is_the_one_whose_memory_is_known():
    assert find_accelerator("A100").name == "A100-40GB"
    assert find_accelerator("A100", 85.9).name == "A100-80GB"
    assert find_accelerator("A100-80GB").bytes_per_s > find_accelerator("A100").bytes_per_s
    assert find_accelerator("A100-40G", 42.9).name == "A100-40GB"


def test_a_part_of_a_gpu_computes_and_reads_as_much_as_its_share():
    whole = find_accelerator("H100")
    part = find_accelerator("NVIDIA H100 80GB HBM3 MIG 1g.10gb")
    assert part.name == "H100 MIG 1g.10gb"
    assert part.half_flops == pytest.approx(whole.half_flops / 7)
    assert part.bytes_per_s == pytest.approx(whole.bytes_per_s / 8)
    assert find_accelerator("NVIDIA A100-SXM4-40GB MIG 1c.3g.20gb").memory_gb == 20
    assert find_accelerator(part.name.replace(" ", "-")) == part
    whole_again = find_accelerator("H200 MIG 7g.141gb")
    assert whole_again.half_flops == pytest.approx(find_accelerator("H200").half_flops)


def test_older_products_compute_bfloat16_as_float32():
    turing, ampere = find_accelerator("T4"), find_accelerator("A10")
    assert turing.flops("bfloat16") == turing.single_flops < turing.flops("float16")
    assert ampere.flops("bfloat16") == ampere.half_flops > ampere.flops("float32")


def test_of_a_memory_size_alone_the_slowest_in_everything_is_assumed():
    stand_in = planned_as("GPU of tomorrow", 85.0)
    assert stand_in == accelerators.slowest_with(85.0)
    a100, h100 = find_accelerator("A100-80GB"), find_accelerator("H100")
    for speed in ("half_flops", "single_flops", "bytes_per_s", "link_bytes_per_s"):
        assert getattr(stand_in, speed) <= min(getattr(a100, speed), getattr(h100, speed))
    assert planned_as("GPU of tomorrow", 0) is None
    assert accelerators.slowest_with(4) is None


@pytest.mark.parametrize(
    ("written", "nearest"),
    [("H10-80GB", "H100"), ("RTX-4909", "4090"), ("L4OS", "L40S"), ("abacus", None)],
)
def test_a_misspelt_product_has_a_nearest_match(written, nearest):
    assert find_accelerator(written) is None
    assert nearest_product(written) == nearest


def test_of_unequal_gpus_the_slowest_is_the_machines():
    assert accelerators.slowest_of(["NVIDIA H100 PCIe", "NVIDIA L40"]) == "NVIDIA L40"
    assert accelerators.slowest_of(["NVIDIA H100 PCIe", "who knows"]) == ""
    assert accelerators.slowest_of([]) == ""


def test_a_machine_offers_the_memory_of_its_smallest_gpu(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(NVIDIA_SMI, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    offered = this_machine()
    assert (offered.num_gpus, offered.gpu_memory_gb) == (2, 85.5)
    assert offered.gpu_name == "NVIDIA H200"
