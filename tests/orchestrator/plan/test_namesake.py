"""Two studies of one name on a root: the second is told before it takes the place of the first."""

import json
import shutil

import pytest

from orchestrator.cli import main

PROBES = """
study: probes
axes: {index: [0, 1]}
stages:
  fine: {kind: probe, over: [index], params: {index: "${index}"}}
"""


@pytest.fixture
def place(tmp_path):
    return ["--root", str(tmp_path / "root")]


@pytest.fixture
def write(tmp_path):
    """A function: folder, file and text -> the path of a study there."""

    def written(folder, text, name="probes.yaml"):
        file = tmp_path / folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return str(file)

    return written


@pytest.fixture
def launched(write, place, capsys):
    file = write("a", PROBES)
    assert main(["launch", file, *place, "--executor", "local"]) == 0
    capsys.readouterr()
    return file


def notes(capsys, file, place):
    assert main(["plan", file, *place, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["notes"]


def test_a_copy_of_a_studys_folder_is_no_study(launched, tmp_path, place, capsys):
    studies = tmp_path / "root" / "studies"
    shutil.copytree(studies / "probes", studies / "probes.bak")
    for words in (["status", "probes.bak"], ["launch", "probes.bak", "--executor", "local"]):
        assert main([*words, *place]) == 2
        assert "studies/probes.bak holds a copy of the study 'probes'" in capsys.readouterr().err
    assert main(["status", *place, "--json"]) == 0
    states = {one["study"]: one["state"] for one in json.loads(capsys.readouterr().out)}
    assert states == {"probes": "complete", "probes.bak": "unreadable"}


OTHERS = PROBES.replace("[0, 1]", "[1, 2]")


@pytest.mark.parametrize(("folder", "name"), [("b", "probes.yaml"), ("a", "copied.yaml")])
def test_another_file_of_the_same_name_is_told_what_it_supersedes(
    launched, write, place, capsys, folder, name
):
    file = write(folder, OTHERS, name)
    (note,) = notes(capsys, file, place)
    assert f"{name}:2: {launched} is a study 'probes', too" in note
    assert "what is of 1 job of the other alone" in note
    assert main(["launch", file, *place, "--executor", "local"]) == 0
    assert note in capsys.readouterr().err
    # It is the other's turn to be told, also where all its jobs are done.
    (note,) = notes(capsys, launched, place)
    assert file in note
    assert main(["launch", launched, *place, "--executor", "local"]) == 0
    assert note in capsys.readouterr().err


def test_an_edited_study_is_no_other_one(launched, write, place, capsys):
    assert notes(capsys, write("a", OTHERS), place) == []


def test_a_study_that_was_moved_is_no_other_one(launched, tmp_path, write, place, capsys):
    shutil.rmtree(tmp_path / "a")
    assert notes(capsys, write("b", OTHERS), place) == []


def test_a_file_that_has_another_name_by_now_is_no_other_one(launched, write, place, capsys):
    write("a", PROBES.replace("study: probes", "study: others"))
    assert notes(capsys, write("b", OTHERS), place) == []


def test_a_copy_that_asks_for_all_that_was_launched_supersedes_nothing(
    launched, write, place, capsys
):
    assert notes(capsys, write("b", PROBES.replace("[0, 1]", "[0, 1, 2]")), place) == []
