"""Results of the GPU check: one file a day and product, parts that join, aims, the page."""

import json
import re
from dataclasses import replace
from importlib.metadata import version

import pytest

from benchmarks.gpu import results
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import PARTS, Aim, Row, in_order
from benchmarks.gpu.parts.versions import older_than_asked
from cluster.machine.resources import Resources
from orchestrator.plan import calibrations

H200 = {
    "gpu": "NVIDIA H200", "num_gpus": 1, "memory_gb": 150.1, "free_gb": 149.0, "driver": "570.1",
    "cuda": "13.0", "python": "3.12.3", "versions": {"torch": "2.11.0", "trl": None},
}  # fmt: skip
GPU = Machine(
    device="cuda", rehearses=False, name="NVIDIA H200", num_gpus=1, memory_gb=150, free_gb=149
)


def measured(*rows: Row) -> dict:
    return {"state": "measured", "reason": "", "seconds": 1.0,
            "rows": [row.to_json() for row in rows]}  # fmt: skip


def document(**parts) -> dict:
    return {**results.new_document(H200), "parts": parts}


def test_parts_of_one_day_join_in_one_file_and_its_table(tmp_path) -> None:
    peaks = PARTS.find("peaks")
    rate = Row(what="products in bfloat16", value=700.0, unit="TFLOP/s")
    late = {"state": "failed", "reason": "took more than 300 s", "seconds": 300.0, "rows": []}
    path = results.save(document(peaks=measured(rate)), tmp_path)
    assert results.save(document(engines=late), tmp_path) == path
    assert path.name.startswith("gpu-check-H200-")
    assert set(json.loads(path.read_text())["parts"]) == {"peaks", "engines"}
    table = path.with_suffix(".md").read_text()
    assert f"## {peaks.QUESTION}" in table and "700 TFLOP/s" in table
    assert "NVIDIA H200, 150.1 GB, driver 570.1" in table and "took more than 300 s" in table
    assert table.count("not measured") > 10, "parts that did not run stand there too"


def test_the_plan_reads_what_a_check_measured(tmp_path, monkeypatch) -> None:
    rates = Row(what="products", value=1.0, facts={"half_flops": 7e14, "tf32_flops": 4e14})
    run = Row(what="gpt2, peak", value=1.0, facts={"shape": "gpt2", "measured_gb": 2.0})
    results.save(document(peaks=measured(rates), memory=measured(run)), tmp_path)
    monkeypatch.setattr(calibrations, "FOLDER", tmp_path)
    here = [Resources(num_gpus=1, gpu_name="NVIDIA H200", gpu_memory_gb=150.1)]
    found = calibrations.calibration_of(here)
    assert found.rates == {"half_flops": 7e14, "tf32_flops": 4e14}
    assert found.training == [{"memory": {"shape": "gpt2", "measured_gb": 2.0}}]


def test_a_part_that_is_run_again_takes_the_place_of_what_it_was(tmp_path) -> None:
    for value in (1.0, 2.0):
        path = results.save(document(peaks=measured(Row(what="x", value=value))), tmp_path)
    (row,) = json.loads(path.read_text())["parts"]["peaks"]["rows"]
    assert row["value"] == 2.0


@pytest.mark.parametrize("state", ["skipped", "unfinished"])
def test_what_was_measured_stays_where_the_part_does_not_come_to_its_end_again(
    tmp_path, state
) -> None:
    results.save(document(peaks=measured(Row(what="x", value=1.0))), tmp_path)
    less = {"state": state, "reason": "why", "seconds": 1.0, "rows": []}
    path = results.save(document(peaks=less, moments=less), tmp_path)
    parts = json.loads(path.read_text())["parts"]
    assert [row["value"] for row in parts["peaks"]["rows"]] == [1.0]
    assert parts["moments"] == less
    again = measured(Row(what="x", value=3.0))
    results.save(document(peaks=again, moments=again), tmp_path)
    assert json.loads(path.read_text())["parts"]["moments"] == again


@pytest.mark.parametrize(
    ("aim", "value", "holds"),
    [
        (Aim(least=0.95), 0.95, True),
        (Aim(least=0.95), 0.94, False),
        (Aim(most=1e-4), float("nan"), False),
        (Aim(most=1e-4), float("inf"), False),
        (Aim(), True, True),
        (Aim(), False, False),
    ],
)
def test_an_aim_holds_what_it_says(aim, value, holds) -> None:
    assert aim.holds(value) is holds


def test_what_missed_its_aim_and_what_has_no_value_are_told_apart() -> None:
    part = PARTS.find("extraction")
    (name, *_) = part.AIMS
    low, none = part.row(name, 0.5), part.row(name, None, note="needs 60 GB")
    lines = list(results.part_table(measured(low, none), part.AIMS))
    assert "**0.5: missed**" in lines[1] and "| not measured | needs 60 GB |" in lines[2]


def test_parts_for_more_gpus_or_memory_or_packages_than_there_are_say_so() -> None:
    assert PARTS.find("ranks").why_not(GPU) == "needs 2 GPUs, this machine has 1"
    small = replace(GPU, memory_gb=24, free_gb=3.0)
    assert "needs 70 GB" in PARTS.find("large-step").why_not(small)
    assert PARTS.find("peaks").why_not(GPU) is None


def test_the_page_has_the_newest_results_or_says_that_there_are_none(tmp_path) -> None:
    empty = "\n".join(results.page(tmp_path))
    assert "**Not measured**" in empty
    assert all(PARTS.find(name).QUESTION in empty for name in in_order())
    for day in ("2026-12-01", "2026-12-09"):
        row = Row(what="products in bfloat16", value=float(day[-2:]))
        results.save({**document(peaks=measured(row)), "date": day}, tmp_path)
    page = "\n".join(results.page(tmp_path))
    assert "2026-12-09" in page and "2026-12-01" not in page and "**Not measured**" not in page


def test_packages_older_than_this_one_asks_for_are_named() -> None:
    found = older_than_asked(
        {"torch": "2.11.0+cu130", "transformers": "5.17.0", "trl": "99.0", "numpy": None, "x": "1"}
    )
    assert [line.partition(" (")[0] for line in found] == [
        "torch 2.11.0+cu130",
        "transformers 5.17.0",
    ]
    assert all(re.search(r"asked for: \d", line) for line in found)
    assert older_than_asked({name: version(name) for name in ("torch", "transformers")}) == []
