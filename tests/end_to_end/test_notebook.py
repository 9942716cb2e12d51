"""Reading a finished root from Python, as docs/howto/notebooks.md says."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.errors import UserError
from orchestrator.notebook import LaunchedStudy, open_root

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "notebooks.md"
CELL = {"model": "gpt2-tiny", "objective": "dpo", "seed": 1, "condition": "rot13"}


@pytest.fixture
def study(undisturbed: Any) -> LaunchedStudy:
    return open_root(undisturbed.root).study("miniature")


def test_the_page_runs_as_it_stands(undisturbed: Any) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    for said, here in (
        ('"results"', repr(str(undisturbed.root))),
        ('"nursery"', '"miniature"'),
        ('"gpt2-0.1m"', '"gpt2-tiny"'),
    ):
        assert said in code
        code = code.replace(said, here)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert names["root"].studies == ["miniature"]
    assert names["rows"][:8].shape == (8, 16)
    assert len(names["sample"].total.moments.mean) == 16


def test_measurements_are_those_of_the_studys_own_table(study: Any, undisturbed: Any) -> None:
    import io

    import pandas as pd

    mine = study.measurements()
    theirs = pd.read_csv(io.BytesIO(undisturbed.measurements()))
    assert sorted(mine.columns) == sorted(theirs.columns)
    assert len(mine) == len(theirs)
    values = mine.value.sort_values(ignore_index=True).dropna().to_numpy(dtype=float)
    np.testing.assert_array_equal(
        values, theirs.value.sort_values(ignore_index=True).dropna().to_numpy(dtype=float)
    )


def test_a_store_is_found_by_its_cell_and_values_need_not_be_text(study: Any) -> None:
    store = study.activations("delta", **CELL)
    assert store.positions == ["last"] and store.stored("resid_mid", 1, "last").shape[1] == 16
    assert study.artifact("delta", **{**CELL, "seed": "1"}).key == store.files.key


@pytest.mark.parametrize(
    ("stage", "cell", "said"),
    [
        ("deltas", CELL, "did you mean 'delta'"),
        ("delta", {**CELL, "objectives": "dpo"}, "did you mean 'objective'"),
        ("delta", {"model": "gpt2-tiny"}, "8 cells of stage 'delta'"),
        ("delta", {**CELL, "seed": 7}, "0 cells of stage 'delta'"),
        ("geometry", CELL, "activation store"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(
    study: Any, stage: str, cell: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as raised:
        study.activations(stage, **cell)
    assert said in str(raised.value)


def test_a_study_or_a_root_that_is_not_there_is_named(undisturbed: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown study 'miniatur'"):
        open_root(undisturbed.root).study("miniatur")
    with pytest.raises(UserError, match="no study was launched"):
        open_root(tmp_path)


def test_a_cell_that_is_not_done_is_a_row_with_its_reason(undisturbed: Any, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(undisturbed.root, tmp_path / "copy", symlinks=True)
    study = open_root(tmp_path / "copy").study("miniature")
    artifact = study.artifact("geometry", **CELL)
    (tmp_path / "copy" / artifact.record_name).unlink()
    table = study.measurements()
    gone = table[table.status == "not_run"]
    gone = gone[(gone.seed == 1) & (gone.condition == "rot13") & (gone.objective == "dpo")]
    assert set(gone.reason) == {"geometry is not done"} and gone.value.isna().all()
    with pytest.raises(UserError, match="is not done"):
        study.artifact("geometry", **CELL)
    assert json.loads((tmp_path / "copy/studies/miniature/index.json").read_text())
