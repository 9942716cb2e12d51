"""The summary run in W&B, read back from the file that an offline run writes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.long_table.columns import to_table
from analysis.tables.comparison_table import compare
from jobs.comparing.comparison import Comparison
from jobs.comparing.curves import curves
from jobs.comparing.view import View
from jobs.comparing.wandb_summary import flat_table, mirror_study
from jobs.mirror.run_name import RunName

SIZES = {"small": 1000, "large": 4000}


def _measured(model, layer, value, **more):
    return {
        "objective": "dpo",
        "model": model,
        "family": "gpt2",
        "num_parameters": SIZES[model],
        "num_layers": 3,
        "metric": "consistency",
        "site": "resid_mid",
        "layer": layer,
        "depth": layer / 2,
        "position": "last",
        "value": value,
        "key": f"{model}{layer}",
        **more,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder with the run of a study with two sizes and three layers."""
    folder = tmp_path_factory.mktemp("wandb")
    rows = [
        _measured(model, layer, round(0.1 * (layer + 1) + SIZES[model] / 10000, 6))
        for model in SIZES
        for layer in range(3)
    ]
    silent = {"status": "below_noise_floor", "reason": "the base reads as much"}
    rows[-1] |= silent  # the last layer of the large one
    comparison = Comparison(
        gathered=to_table(rows, ["objective"]),
        order={"model": list(SIZES), "objective": ["dpo"]},
    )
    view = View(title="Sizes", metrics=["consistency"], depth=0.5)
    name = RunName(
        root_id="r", key="k", study="s", kind="summary", label="s", folder=str(folder), config={}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        mirror_study(name, [(comparison, view)], [], ["base[model=small]"])
    return folder


@pytest.fixture(scope="module")
def records(folder):
    """Everything in that run."""
    (file,) = folder.rglob("*.wandb")
    return _records(file)


def _records(file: Path):
    program = Path(sys.executable).parent / "wandb"
    words = [str(program), "leet", "inspect", "--json", str(file)]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    return [json.loads(line) for line in said.splitlines()]


def _lines(records, axis):
    """Name of each line against an axis -> its points."""
    lines = {}
    for record in records:
        item = record.get("history", {}).get("item", {})
        for name, value in item.items():
            if name.startswith(f"by {axis}/"):
                lines.setdefault(name, []).append((item[axis], value))
    return lines


def test_geometry_is_a_line_over_layers_for_every_model(records):
    assert _lines(records, "layer") == {
        "by layer/consistency/small dpo": [(0, 0.2), (1, 0.3), (2, 0.4)],
        "by layer/consistency/large dpo": [(0, 0.5), (1, 0.6)],
    }


def test_geometry_is_a_line_over_sizes_for_every_family(records):
    points = _lines(records, "num_parameters")["by num_parameters/consistency/gpt2 dpo"]
    assert points == [(1000, 0.3), (4000, 0.6)]


def test_every_line_is_drawn_against_its_own_axis(records):
    metrics = [record["metric"] for record in records if record["type"] == "metric"]
    steps = {metric["name"]: metric["step_metric"] for metric in metrics}
    assert steps == {
        "by layer/consistency/small dpo": "layer",
        "by layer/consistency/large dpo": "layer",
        "by num_parameters/consistency/gpt2 dpo": "num_parameters",
    }


def test_tables_answers_and_reused_jobs_are_there(records):
    updates = [record["summary"]["update"] for record in records if record["type"] == "summary"]
    last = {name: value for update in updates for name, value in update.items()}
    assert last["num_reused"] == 1
    assert last["answers/holds_as_models_grow"] == "not measured"
    tables = {name.split("._")[0] for name in last if name.endswith("._type")}
    assert tables == {"Sizes", "Sizes: answers", "reused jobs"}


def test_counts_and_values_are_numbers_in_tables_and_what_is_missing_is_a_gap(folder):
    """As text they can be neither drawn nor sorted."""
    files = [json.loads(file.read_text()) for file in folder.rglob("*.table.json")]
    (sizes,) = (file for file in files if "parameters" in file["columns"])
    rows = [dict(zip(sizes["columns"], row, strict=True)) for row in sizes["data"]]
    assert rows == [
        {"family": "gpt2", "model": "small", "parameters": 1000, "consistency": 0.3},
        {"family": "gpt2", "model": "large", "parameters": 4000, "consistency": 0.6},
    ]


def test_no_point_of_a_line_hides_another_at_its_place():
    """Two stages compared one cell, and two models have one size: the last one stood for both."""
    rows = [
        _measured(model, layer, value + layer, compared_by=stage, key=f"{model}{layer}{stage}")
        | {"model": name, "num_parameters": SIZES[model]}
        for name, model in (("small", "small"), ("large", "large"), ("large@step1", "large"))
        for layer in range(3)
        for stage, value in (("geometry", 0.1), ("seeds", 0.5))
    ]
    comparison = Comparison(
        gathered=to_table(rows, ["objective"]), order={"model": [], "objective": ["dpo"]}
    )
    lines = curves(comparison, View(metrics=["consistency"], depth=0.5))
    by_layer = {line.name: line.points for line in lines if line.against == "layer"}
    assert len(by_layer) == 6
    assert by_layer["consistency/small dpo geometry"] == ((0, 0.1), (1, 1.1), (2, 2.1))
    assert by_layer["consistency/small dpo seeds"] == ((0, 0.5), (1, 1.5), (2, 2.5))
    assert not [line for line in lines if line.against == "num_parameters"], "one size each"


def test_no_table_holds_a_number_that_others_show_as_a_dash():
    rows = [_measured("small", 1, 0.3), _measured("large", 1, 0.6)]
    rows[0] |= {"status": "below_noise_floor", "reason": "the base reads as much"}
    columns, cells = flat_table(compare(to_table(rows, ["objective"])))
    assert [dict(zip(columns, row, strict=True))["consistency"] for row in cells] == [None, 0.6]
