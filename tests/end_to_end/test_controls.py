"""Every control takes a line of a study, stands under its own name, and reads as a control should.

A minute of training and measuring on two cores, hence slow.
"""

import json
from pathlib import Path
from typing import Any

import pandas
import pytest

CONTROLS = Path(__file__).parent / "controls.yaml"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, command_at: Any) -> Any:
    """The study of controls, run once."""
    command = command_at(root=tmp_path_factory.mktemp("controls") / "results")
    done = command.run("launch", str(CONTROLS), "--executor", "local")
    assert done.returncode == 0, done.stderr
    return command


@pytest.fixture(scope="module")
def rows(study: Any) -> pandas.DataFrame:
    """The long table."""
    table = study.root / "studies/controls/tables/table/measurements.parquet"
    return pandas.read_parquet(table)


def _of(rows: pandas.DataFrame, metric: str, objective: str) -> pandas.DataFrame:
    found = rows[(rows.metric == metric) & (rows.objective == objective)]
    return found[found.condition == "provoking"]


def test_every_control_stands_in_the_table_under_its_own_name(study: Any) -> None:
    shown = study.run("compare", str(CONTROLS), "--metric", "toxic_mass", "--format", "csv")
    header = shown.stdout.splitlines()[0].split(",")
    for condition in ("provoking", "neutral"):
        for name in ("base", "dpo", "sft", "dpo-shuffled", "unaligned"):
            assert f"toxic_mass/{condition}/{name}" in header


def test_the_base_against_itself_is_below_the_noise_floor_everywhere(
    rows: pandas.DataFrame,
) -> None:
    itself = rows[(rows.objective == "unaligned") & rows.site.notna()]
    assert len(itself)
    above = itself[(itself.status == "ok") & ~(itself.value <= itself.floor)]
    assert not len(above), above[["metric", "value", "floor", "status"]]


def test_shuffled_labels_are_told_from_dpo_by_what_is_said_and_by_how_far_it_moved(
    rows: pandas.DataFrame,
) -> None:
    said, moved = _of(rows, "toxic_mass", "dpo"), _of(rows, "relative_norm", "dpo")
    null_said = _of(rows, "toxic_mass", "dpo-shuffled")
    null_moved = _of(rows, "relative_norm", "dpo-shuffled")
    assert len(said) == len(null_said) == len(moved) == len(null_moved) == 2
    assert said.high.max() < null_said.low.min()
    assert moved.low.min() > null_moved.high.max()


def test_a_second_seed_moves_the_same_way_beyond_the_null_bands(study: Any) -> None:
    place = study.root / "studies/controls/tables/seeds-table/measurements.parquet"
    pairs = _of(pandas.read_parquet(place), "mean_cosine", "dpo")
    (second,) = pairs[pairs.seed == 1].to_dict("records")
    assert second["low"] > max(second["null_high"], second["base_null_high"])


def test_the_answer_counts_the_controls(study: Any) -> None:
    said = study.run("compare", str(CONTROLS), "--answers", "--format", "json").stdout
    answers = {answer["name"]: answer for answer in json.loads(said)}
    specific = answers["specific_to_dpo"]
    votes = {
        each["cell"]["objective"]: each["supports"]
        for each in specific["evidence"]
        if each["metric"] == "toxic_mass"
    }
    assert votes["dpo-shuffled"] is True
    assert votes["unaligned"] is None
    assert not any("No dpo-shuffled control" in caveat for caveat in specific["caveats"])
    grow = answers["holds_as_models_grow"]
    assert any(each["text"].startswith("Control") for each in grow["evidence"])
    assert any("model organism" in caveat for caveat in grow["caveats"])
