"""A link, file or pipe where a part of one job belongs ends that job alone, or none."""

import json
import os

import pytest

from orchestrator.cli import main

STUDY = """\
study: s
axes:
  index: [0, 1, 2, 3]
stages:
  one: {kind: probe, over: [index], params: {index: "${index}"}}
"""


@pytest.fixture
def run(tmp_path, capsys):
    """A function: verb and options -> code and what it says."""
    (tmp_path / "s.yaml").write_text(STUDY)

    def run(verb, *options):
        words = [verb, str(tmp_path / "s.yaml"), *options, "--root", str(tmp_path / "root")]
        code = main(words)
        return code, capsys.readouterr()

    return run


def key_folders(run, root):
    """Return where the folders of the jobs belong, in the plan's order."""
    document = json.loads(run("plan", "--json")[1].out)
    return [root / "artifacts/probe" / job["key"][:16] for job in document["jobs"]]


def make_foreign(place, how):
    place.parent.mkdir(parents=True, exist_ok=True)
    elsewhere = place.parent / ".elsewhere"
    if how == "link":
        elsewhere.mkdir(exist_ok=True)
        place.symlink_to(elsewhere)
    elif how == "dangling":
        place.symlink_to("nowhere")
    elif how == "file":
        place.write_bytes(b"mine")
    else:
        os.mkfifo(place)


@pytest.mark.parametrize("how", ["link", "dangling", "file", "pipe"])
@pytest.mark.parametrize("where", ["", "attempts", "job.json", "record.json", "claim"])
def test_what_lies_in_one_jobs_place_before_a_launch_ends_no_other_job(run, tmp_path, how, where):
    taken, *_ = key_folders(run, tmp_path / "root")
    make_foreign(taken / where, how)

    code, output = run("launch", "--executor", "local", "--json")

    assert code in (0, 1), output
    document = json.loads(output.out)
    assert document["ran"] >= 3
    for key, message in document["failed"].items():
        assert key.startswith(taken.name) and taken.name in message, document
    assert bool(document["failed"]) is (code == 1)


@pytest.mark.parametrize("how", ["link", "file"])
@pytest.mark.parametrize("where", ["", "attempts", "attempts/*", "attempts/*/*"])
def test_what_was_put_in_the_place_of_one_done_job_ends_no_other_job(run, tmp_path, how, where):
    assert run("launch", "--executor", "local")[0] == 0
    taken, other, *_ = key_folders(run, tmp_path / "root")
    (other / "record.json").unlink()
    place = next(taken.glob(where)) if where else taken
    place.rename(tmp_path / "aside")
    make_foreign(place, how)

    code, output = run("launch", "--executor", "local", "--json")

    assert code in (0, 1), output
    document = json.loads(output.out)
    assert (other / "record.json").is_file()
    assert all(key.startswith(taken.name) for key in document["failed"])
