"""File systems hold names of any bytes; a study is planned with them, or told what to rename."""

import os

import pyarrow
import pyarrow.parquet
import pytest

from cluster.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import parse_study

LATIN_1 = os.fsdecode(b"caf\xe9")
ROWS = [{"prompt": f"p{n}", "chosen": " a", "rejected": " b"} for n in range(20)]
PAIRS = (
    "study: s\nstages:\n  p: {kind: pairs, params: {format: prompt-chosen-rejected, source: %s}}"
)
MODEL = "study: s\nstages:\n  base: {kind: pretrained, params: {source: model}}"


def planned(folder, source="data", text=PAIRS):
    return make_plan(parse_study(text.replace("%s", source), folder=folder))


def write_rows(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "wb") as stream:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), stream)


def test_a_file_of_such_a_name_in_a_folder_is_read_and_its_name_is_in_the_key(tmp_path):
    write_rows(tmp_path / "data", f"{LATIN_1}.parquet")
    (job,) = planned(tmp_path).jobs
    os.rename(tmp_path / f"data/{LATIN_1}.parquet", tmp_path / "data/other.parquet")
    (renamed,) = planned(tmp_path).jobs
    assert job.key != renamed.key


def test_a_split_of_such_a_name_is_offered_as_a_study_can_write_it(tmp_path):
    for name in (LATIN_1, "b"):
        write_rows(tmp_path / "data", f"{name}.parquet")
    with pytest.raises(UserError, match="several splits") as caught:
        planned(tmp_path)
    assert caught.value.allowed == ["b", r"caf\udce9"]
    planned(tmp_path, r'data, options: {split: "caf\\udce9"}')


def test_a_model_below_such_a_folder_is_refused_with_what_to_rename(tmp_path):
    (tmp_path / LATIN_1 / "model").mkdir(parents=True)
    with pytest.raises(UserError, match="is not UTF-8") as caught:
        planned(tmp_path / LATIN_1, text=MODEL)
    assert caught.value.where == "study.yaml:3"
    assert "rename" in caught.value.hint
