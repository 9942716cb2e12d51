"""Whoever asks about a launched study needs nothing but the root; a launch needs the data."""

import json
import os
import shutil

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.plan.decided_plan import (
    Purpose,
    data_changed_since,
    decide_plan,
    plan_study,
)
from orchestrator.plan.decisions import decide_jobs
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.prepared import read_params
from orchestrator.plan.study_folder import open_study, write_study
from orchestrator.study.study import load_study

STUDY = """
study: own
axes: {condition: [plain, rot13]}
stages:
  base: {kind: pretrain, params: {config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1},
         format: nursery, steps: 1, learning_rate: 1e-3}}
  texts: {kind: prompts, over: [condition],
          params: {format: text, transform: "${condition}",
                   source: "${DELTASCALE_DATA}/prompts.txt"}}
  rates: {kind: behave, inputs: {model: base, prompts: texts}, params: {new_tokens: 1}}
  table: {kind: compare, gather: [rates], per: []}
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    lines = [f"the cat sat on mat number {number}, " * 12 for number in range(40)]
    (folder / "prompts.txt").write_text("\n\n".join(lines) + "\n")
    monkeypatch.setenv("DELTASCALE_DATA", str(folder))
    return folder


@pytest.fixture
def study(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(STUDY)
    return file


def keys(root, study, **options):
    return [job.key for job in plan_study(root, load_study(study), **options).jobs]


def record(root, study):
    """Write what a launch writes before its first job."""
    plan = plan_study(root, load_study(study))
    write_study(root, plan, plan_document(plan, decide_jobs(plan, root)))


@pytest.fixture
def lose_data(data, monkeypatch):
    """A function that takes the data away: the folder, or the variable as well."""

    def lose(*, variable: bool):
        shutil.rmtree(data)
        if variable:
            monkeypatch.delenv("DELTASCALE_DATA")

    return lose


@pytest.mark.parametrize("variable", [False, True])
def test_every_verb_that_asks_works_when_the_data_have_gone(
    tmp_path, study, lose_data, capsys, variable
):
    place = ["--root", str(tmp_path / "root")]
    assert main(["launch", str(study), *place, "--executor", "local"]) == 0
    before = keys(Storage(tmp_path / "root"), study)
    lose_data(variable=variable)
    capsys.readouterr()

    for study_words in ("own", str(study)):
        for words in (["status"], ["compare"], ["report"], ["verify"], ["cancel"]):
            assert main([*words, study_words, *place]) == 0, capsys.readouterr()
        assert main(["logs", study_words, "rates:condition=rot13", *place]) == 0
    capsys.readouterr()
    assert main(["status", "own", *place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"]["done"] == 6

    # A forecast knows what was recorded; only a launch needs the data.
    root = Storage(tmp_path / "root")
    assert keys(root, study, purpose=Purpose.FORECAST) == before
    assert main(["launch", str(study), *place, "--executor", "local"]) == 2


def test_a_plan_without_data_leaves_open_what_depends_on_them(tmp_path, study, monkeypatch, capsys):
    monkeypatch.delenv("DELTASCALE_DATA", raising=False)
    place = ["--root", str(tmp_path / "root")]
    assert main(["plan", str(study), *place, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["absent"] == ["${DELTASCALE_DATA}/prompts.txt"]
    is_open = {job["stage"]: job["key"] is None for job in document["jobs"]}
    assert is_open == {"base": False, "texts": True, "rates": True, "table": True}
    assert document["totals"]["open"] == 5 and document["totals"]["new"] == 6

    assert main(["plan", str(study), *place]) == 0
    written = capsys.readouterr()
    assert "not here: ${DELTASCALE_DATA}/prompts.txt" in written.err
    assert "export DELTASCALE_DATA" in written.err


def test_a_file_missing_from_the_data_folder_is_named_and_others_are_planned(
    tmp_path, study, data, capsys
):
    (data / "prompts.txt").unlink()
    assert main(["plan", str(study), "--root", str(tmp_path / "root"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["absent"] == [str(data / "prompts.txt")]


@pytest.mark.parametrize("written", ["data", "./data/", "~/data"])
def test_a_data_folder_begins_in_the_working_folder_or_a_home(
    tmp_path, data, capsys, monkeypatch, written
):
    study = tmp_path / "studies" / "own.yaml"
    study.parent.mkdir()
    study.write_text(STUDY)
    place = ["--root", str(tmp_path / "root"), "--json"]
    assert main(["plan", str(study), *place]) == 0
    whole = json.loads(capsys.readouterr().out)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DELTASCALE_DATA", written)
    assert main(["plan", str(study), *place]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"] == whole["jobs"]
    (data / "prompts.txt").unlink()
    assert main(["plan", str(study), *place]) == 0
    assert json.loads(capsys.readouterr().out)["absent"] == [str(data / "prompts.txt")]


def test_a_folder_whose_name_goes_on_where_the_data_folders_ends_is_another(
    tmp_path, study, data, capsys
):
    study.write_text(STUDY.replace("${DELTASCALE_DATA}/prompts.txt", f"{data}base/prompts.txt"))
    assert main(["plan", str(study), "--root", str(tmp_path / "root")]) == 2
    assert "own.yaml:" in capsys.readouterr().err


def test_a_missing_file_outside_the_data_folder_is_a_mistake(tmp_path, study, data, capsys):
    study.write_text(STUDY.replace("${DELTASCALE_DATA}/prompts.txt", "promts.txt"))
    assert main(["plan", str(study), "--root", str(tmp_path / "root")]) == 2
    assert "own.yaml:" in capsys.readouterr().err


def test_a_missing_file_that_the_study_says_where_to_have_leaves_its_keys_open(
    tmp_path, study, data, capsys
):
    text = STUDY.replace("${DELTASCALE_DATA}/prompts.txt", "texts/prompts.txt")
    study.write_text(text.replace("axes:", "data: {texts/prompts.txt: from the shelf}\naxes:", 1))
    place = ["--root", str(tmp_path / "root")]
    assert main(["plan", str(study), *place, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    file = str(study.parent / "texts" / "prompts.txt")
    assert document["absent"] == [file] and document["whence"] == {file: "from the shelf"}
    assert document["totals"]["open"] == 5
    assert main(["launch", str(study), *place, "--executor", "local"]) == 2
    assert "from the shelf" in capsys.readouterr().err


def test_what_was_recorded_holds_for_the_text_that_was_launched_alone(tmp_path, study, data):
    root = Storage(tmp_path / "root")
    record(root, study)
    assert read_params(root, load_study(study)) is not None
    study.write_text(STUDY.replace("[plain, rot13]", "[plain]"))
    assert read_params(root, load_study(study)) is None


@pytest.mark.parametrize("damage", [b"{ half", b"[]", b'{"text": 3}', b"[" * 50000, b"\xff"])
def test_a_damaged_record_of_params_counts_as_none(tmp_path, study, data, damage):
    root = Storage(tmp_path / "root")
    record(root, study)
    before = keys(root, study)
    root.write("studies/own/params.json", damage)
    assert read_params(root, load_study(study)) is None
    assert keys(root, study, purpose=Purpose.ASK) == before


def test_asking_looks_at_what_was_launched_and_a_plan_at_what_would_be(tmp_path, study, data):
    root = Storage(tmp_path / "root")
    record(root, study)
    launched = keys(root, study)
    with open(data / "prompts.txt", "a") as stream:
        stream.write("\n" + "another line of words, " * 20 + "\n")
    assert keys(root, study, purpose=Purpose.ASK) == launched
    assert keys(root, study, purpose=Purpose.FORECAST) == keys(root, study) != launched


BESIDE = """
study: own
axes: {condition: [plain, rot13]}
stages:
  texts: {kind: prompts, over: [condition],
          params: {format: text, transform: "${condition}", source: prompts.txt}}
"""


@pytest.fixture
def two_copies(tmp_path, data):
    """The files of one study in two folders, each beside a file of the same name; not launched."""
    files = []
    for place, words in (("a", ""), ("b", "other ")):
        file = tmp_path / place / "own.yaml"
        file.parent.mkdir()
        file.write_text(BESIDE)
        text = (data / "prompts.txt").read_text()
        (file.parent / "prompts.txt").write_text(text.replace("the cat", words + "the cat"))
        files.append(file)
    return files


def test_a_copy_of_a_study_beside_other_data_is_not_what_was_launched(tmp_path, two_copies):
    root, (launched, copy) = Storage(tmp_path / "root"), two_copies
    record(root, launched)
    before = keys(root, launched)
    assert keys(root, launched, purpose=Purpose.ASK) == before
    assert keys(root, copy, purpose=Purpose.ASK) == keys(root, copy) != before
    # Its name stands for what was launched, and so does a copy without data of its own.
    assert [job.key for job in plan_study(root, open_study(root, "own")).jobs] == before
    (copy.parent / "prompts.txt").unlink()
    assert keys(root, copy, purpose=Purpose.ASK) == before


def test_a_copy_of_a_study_beside_equal_data_is_what_was_launched(tmp_path, two_copies):
    root, (launched, copy) = Storage(tmp_path / "root"), two_copies
    shutil.copy(launched.parent / "prompts.txt", copy.parent / "prompts.txt")
    record(root, launched)
    assert keys(root, copy, purpose=Purpose.ASK) == keys(root, launched)


def test_compare_holds_two_copies_of_a_study_against_each_other(tmp_path, two_copies):
    root = Storage(tmp_path / "root")
    record(root, two_copies[0])
    asked = [decide_plan(root, load_study(file)).plan for file in two_copies]
    assert {job.key for job in asked[0].jobs}.isdisjoint(job.key for job in asked[1].jobs)


def test_the_next_launch_of_a_study_that_was_moved_records_where_it_lies_now(
    tmp_path, two_copies, capsys
):
    root, (launched, copy) = Storage(tmp_path / "root"), two_copies
    words = ["--root", root.url, "--executor", "local"]
    assert main(["launch", str(launched), *words]) == 0
    shutil.copy(launched.parent / "prompts.txt", copy.parent / "prompts.txt")
    launched.parent.rename(tmp_path / "elsewhere")
    assert main(["launch", "own", *words]) == 2
    hint = f"it was launched from {launched.parent}: launch its file where that lies now"
    assert hint in capsys.readouterr().err
    assert main(["launch", str(copy), *words]) == 0
    assert main(["launch", "own", *words]) == 0
    assert open_study(root, "own").folder == copy.parent


def test_who_asks_is_told_of_data_that_have_changed_since(tmp_path, study, data, capsys):
    file, root = data / "prompts.txt", Storage(tmp_path / "root")

    def ask(*words):
        assert main([*words, "--root", root.url]) == 0
        return capsys.readouterr()

    ask("launch", str(study), "--executor", "local")
    assert json.loads(ask("status", "own", "--json").out)["changed_data"] == []
    with open(file, "a") as stream:
        stream.write("\n" + "another line of words, " * 20 + "\n")
    for name in ("own", str(study)):
        status = json.loads(ask("status", name, "--json").out)
        assert (status["state"], status["changed_data"]) == ("complete", [str(file)])
    plan = f"`deltascale plan own --root {root.url}` says"
    said = f"changed since the launch that is shown: {file}; {plan}"
    assert said in ask("status", "own").out
    assert said in ask("compare", "own").err and said in ask("report", "own").err


def test_data_have_changed_where_their_bytes_have(tmp_path, two_copies):
    root, (launched, copy) = Storage(tmp_path / "root"), two_copies
    record(root, launched)
    file = launched.parent / "prompts.txt"
    text = file.read_text()

    def changed(path=launched):
        return data_changed_since(root, load_study(path))

    os.utime(file, (1, 1))
    assert changed() == []
    file.write_text(text.replace("cat", "dog"))
    assert changed() == [str(file)] == data_changed_since(root, open_study(root, "own"))
    assert changed(copy) == []  # it is looked at with its own data
    file.unlink()
    assert changed() == []
    file.write_text(text + text)
    record(root, launched)
    assert changed() == []


@pytest.mark.parametrize(
    "written",
    [
        "texts/prompts.txt",
        "./texts/prompts.txt",
        "../{here}/texts/prompts.txt",
        "{folder}/texts",
        "texts",
    ],
)
def test_where_data_are_to_be_had_may_be_said_of_any_path_that_params_may_name(
    tmp_path, study, data, capsys, written
):
    path = written.format(here=study.parent.name, folder=study.parent)
    text = STUDY.replace("${DELTASCALE_DATA}/prompts.txt", "texts/prompts.txt")
    study.write_text(text.replace("axes:", f"data: {{{path}: from the shelf}}\naxes:", 1))
    assert main(["plan", str(study), "--root", str(tmp_path / "root"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    file = str(study.parent / "texts" / "prompts.txt")
    assert document["whence"] == {file: "from the shelf"}
