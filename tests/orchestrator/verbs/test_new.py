import json

from orchestrator.cli import main
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import load_study


def test_a_new_study_is_named_after_its_file_and_plans(tmp_path, capsys):
    path = tmp_path / "my-study.yaml"
    assert main(["new", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
    assert make_plan(load_study(path)).study.name == "my-study"


def test_a_file_that_exists_is_not_overwritten(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    assert main(["new", str(path), "--json"]) == 2
    fault = json.loads(capsys.readouterr().out)
    assert fault["where"] == str(path)
    assert path.read_text() == "precious"


def test_a_name_that_cannot_be_a_study_or_a_missing_folder_writes_nothing(tmp_path):
    for name in ("..yaml", "two words.yaml", "no-suffix", "missing/folder.yaml"):
        assert main(["new", str(tmp_path / name)]) == 2
    assert list(tmp_path.iterdir()) == []
