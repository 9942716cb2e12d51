"""What `make gpu-check` measured on a product, where it left something."""

import json
from dataclasses import replace

import pytest

from benchmarks.gpu import results
from cluster.machine.accelerators import find_accelerator
from cluster.machine.resources import Resources
from jobs.forecast.effort import MATRIX_SHARE, Effort
from jobs.kind import Calibration
from orchestrator.plan import calibrations
from orchestrator.plan.calibrations import calibration_file, calibration_of

H100 = Resources(num_cpus=64, num_gpus=8, gpu_memory_gb=80, gpu_name="NVIDIA H100 80GB HBM3")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(calibrations, "FOLDER", tmp_path)
    yield tmp_path
    calibrations._read.cache_clear()


def document(gpu):
    peaks = [{"facts": {"half_flops": 6e14, "tf32_flops": 3e14}}]
    memory = [{"facts": {"shape": "tiny", "measured_gb": 3.0}}]
    rows = {"peaks": peaks, "memory": memory}
    parts = {name: {"state": "measured", "rows": found} for name, found in rows.items()}
    machine = {
        **dict.fromkeys(("driver", "cuda", "python"), "1"),
        "gpu": gpu,
        "memory_gb": 80,
        "versions": {},
    }
    return {"machine": machine, "commit": "c", "date": "2026-11-28", "parts": parts}


def test_what_the_check_writes_is_what_a_plan_reads(folder):
    found = results.calibration(document("NVIDIA H100 80GB HBM3"))
    product = results.product_of("NVIDIA H100 80GB HBM3")
    path = folder / f"calibration-{product}.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    measured = calibration_of([H100])
    assert measured.rates["half_flops"] == 6e14
    assert measured.training == [{"memory": {"shape": "tiny", "measured_gb": 3.0}}]
    assert calibration_of([replace(H100, gpu_name="H200")]) == Calibration()
    other = replace(H100, gpu_name="NVIDIA A100-SXM4-80GB")
    assert calibration_of([H100, other]) == Calibration()


def test_a_measured_rate_is_reached_and_takes_the_place_of_the_makers():
    gpu = find_accelerator("H100")
    measured = Calibration(rates={"half_flops": 6e14, "tf32_flops": 3e14}).of(gpu)
    work = Effort(flops=6e14)
    assert work.seconds(measured, "bfloat16") == pytest.approx(1.0)
    assert work.seconds(gpu, "bfloat16") == pytest.approx(6e14 / 989e12 / MATRIX_SHARE)
    assert work.seconds(measured, "float32") == work.seconds(gpu, "float32")


@pytest.mark.parametrize("text", ["", "[]", '{"rates": {"half_flops": "fast"}}', '{"rates": 3}'])
def test_a_file_that_is_none_corrects_nothing(folder, text):
    (folder / "calibration-H100.json").write_text(text, encoding="utf-8")
    assert calibration_of([H100]) == Calibration()


def test_a_part_of_a_gpu_has_a_file_of_its_own():
    assert calibration_file("H100 MIG 1g.10gb").name == "calibration-H100-MIG-1g-10gb.json"
