"""Measured factors per product, where `make gpu-check` left some."""

import json
from dataclasses import replace

import pytest

from cluster.machine.resources import Resources
from jobs.kind import Calibration
from orchestrator.plan import calibrations
from orchestrator.plan.calibrations import calibration_of

H100 = Resources(num_cpus=64, num_gpus=8, gpu_memory_gb=80, gpu_name="NVIDIA H100 80GB HBM3")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(calibrations, "FOLDER", tmp_path)
    yield tmp_path
    calibrations._read.cache_clear()


def test_a_kind_is_corrected_by_what_was_measured_on_the_same_product(folder):
    written = {"extract": {"memory": 1.1, "hours": 0.8, "machine": "a node", "date": "2026-11-28"}}
    (folder / "calibration-H100.json").write_text(json.dumps(written), encoding="utf-8")
    assert calibration_of("extract", [H100]) == Calibration(memory=1.1, hours=0.8)
    assert calibration_of("behave", [H100]) == Calibration()
    assert calibration_of("extract", [replace(H100, gpu_name="H200")]) == Calibration()
    other = replace(H100, gpu_name="NVIDIA A100-SXM4-80GB")
    assert calibration_of("extract", [H100, other]) == Calibration()


@pytest.mark.parametrize("text", ["", "[]", '{"extract": {"memory": -1}}', '{"extract": 3}'])
def test_a_file_that_is_none_corrects_nothing(folder, text):
    (folder / "calibration-H100.json").write_text(text, encoding="utf-8")
    assert calibration_of("extract", [H100]) == Calibration()
