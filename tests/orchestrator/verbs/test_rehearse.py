"""The command: where a rehearsal lies, what it says, and its exit codes."""

import argparse
import json
import os
import stat
import tempfile
from pathlib import Path

import pytest

from cluster.storage import Storage
from jobs.stand_ins.known_model import look_at
from orchestrator.cli import main
from orchestrator.rehearsal.rehearsal_folder import rehearsal_folder
from orchestrator.study.study import load_study
from orchestrator.verbs.rehearse import _folder, _note_fetched
from tests.hub_server.server import HostedRepository, HubServer, ask_here

STUDY = """study: texts
stages:
  pairs: {kind: pairs, params: {format: nursery}}
  prompts: {kind: prompts, params: {format: nursery}}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of texts alone, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def kept(tmp_path) -> Path:
    """The folder of an earlier rehearsal, which was kept."""
    with rehearsal_folder(tmp_path / "kept") as place:
        place.root.mkdir()
        place.stand_ins.mkdir()
    return tmp_path / "kept"


def test_what_held_leaves_nothing_behind_in_the_root(study, tmp_path, capsys) -> None:
    (tmp_path / "results").mkdir()
    assert main(["rehearse", str(study), "--root", "results", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["held"] and [stage["num_jobs"] for stage in report["stages"]] == [1, 1]
    assert report["open"] and list((tmp_path / "results").iterdir()) == []
    assert main(["rehearse", str(study), "--root", "results"]) == 0
    assert "all that can be rehearsed held" in capsys.readouterr().out


def test_a_study_that_cannot_be_planned_is_a_mistake(study, capsys) -> None:
    study.write_text(STUDY.replace("format: nursery}}", "format: nurserie}}", 1))
    assert main(["rehearse", str(study)]) == 2
    assert "nurserie" in capsys.readouterr().err


@pytest.mark.parametrize("inside", [None, "root/artifacts/aa/result.json", "stand-ins/mine"])
def test_a_folder_that_no_rehearsal_made_is_not_taken(study, tmp_path, capsys, inside) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    if inside:
        (mine / inside).parent.mkdir(parents=True)
        (mine / inside).write_text("months of work")
    before = sorted(mine.rglob("*"))
    assert main(["rehearse", str(study), "--into", str(mine)]) == 2
    assert "not made by a rehearsal" in capsys.readouterr().err
    assert mine.is_dir() and sorted(mine.rglob("*")) == before


def test_results_that_a_link_leads_to_are_not_taken(study, kept, tmp_path, capsys) -> None:
    results = tmp_path / "real"
    (results / "artifacts").mkdir(parents=True)
    (kept / "root").rmdir()
    (kept / "root").symlink_to(results)
    assert main(["rehearse", str(study), "--into", str(kept)]) == 2
    assert "not made by a rehearsal" in capsys.readouterr().err
    assert (results / "artifacts").is_dir()


def test_what_a_user_put_beside_a_rehearsal_stays(study, kept) -> None:
    (kept / "notes.txt").write_text("why it fails")
    assert main(["rehearse", str(study), "--into", str(kept)]) == 0
    assert (kept / "notes.txt").read_text() == "why it fails" and not (kept / "root").exists()
    assert main(["rehearse", str(study), "--into", str(kept)]) == 0, "it is a rehearsal's still"


def test_a_file_in_its_place_stays(study, tmp_path, capsys) -> None:
    (tmp_path / "mine").write_text("months of work")
    assert main(["rehearse", str(study), "--into", str(tmp_path / "mine")]) == 2
    assert main(["rehearse", str(study), "--into", str(tmp_path / "mine" / "below")]) == 3
    assert (tmp_path / "mine").read_text() == "months of work"


def test_of_a_root_elsewhere_it_lies_in_a_private_folder(tmp_path, monkeypatch) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    for name in ("deltascale-rehearsals", "deltascale"):  # somebody else's, who waits for ours
        (temp / f"{name}-{os.getuid()}").mkdir()
        (temp / f"{name}-{os.getuid()}").chmod(0o777)
    options = argparse.Namespace(into=None)
    folder = _folder(options, Storage("memory://elsewhere"), "texts")
    assert folder.name == "texts" and stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    private = folder.parent.parent
    assert private.parent == temp and stat.S_IMODE(private.stat().st_mode) == 0o700


def test_what_fetch_brought_stands_in(saved_models, tmp_path, monkeypatch) -> None:
    files = {file.name: file.read_bytes() for file in (saved_models / "llama-sharded").iterdir()}
    monkeypatch.setattr("jobs.hub.client._places", {})
    server = HubServer({("model", "org/tiny"): HostedRepository(files)})
    ask_here(monkeypatch, server, tmp_path / "cache")
    path = tmp_path / "study.yaml"
    path.write_text(
        "study: one\nstages: {base: {kind: pretrained, params: {source: 'hf://org/tiny'}}}\n"
    )
    root = Storage(tmp_path / "root")
    try:
        assert main(["fetch", str(path), "--root", str(tmp_path / "root")]) == 0
    finally:
        server.close()
    monkeypatch.setattr("jobs.hub.client._places", {})
    assert look_at("hf://org/tiny", None).config is None
    _note_fetched(root, load_study(path))
    known = look_at("hf://org/tiny", None)
    assert known.config == json.loads(files["config.json"])
    assert known.folder is not None and (known.folder / "tokenizer.json").is_file()
