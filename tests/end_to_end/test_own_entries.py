"""Studies that bring entries of their own, launched, changed, asked about without their code."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from cluster.errors import UserError
from cluster.executors.local import Executor
from cluster.storage import Storage
from jobs.entries.new_entry import write_entry
from orchestrator.cli import main
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.notebook import open_root
from orchestrator.plan.decided_plan import Purpose, decide_plan, find_study
from orchestrator.plan.decisions import Decision
from orchestrator.plan.plan import make_plan
from orchestrator.study.study import load_study
from tests.jobs.entries.files import KIND, METRIC, NUMBERS, write

STUDY = """study: own
entries: ./entries
axes:
  index: [1, 2]
stages:
  first: {kind: probe, over: [index], params: {index: "${index}"}}
  noted: {kind: note, inputs: {after: first}, params: {index: "${index}"}}
  table: {kind: compare, gather: [noted], params: {figures: false}}
"""
ANSWER = '''"""Yes, always."""

from analysis.answering.answer import StudyAnswer, Verdict

QUESTION = "Is it noted?"
ORDER = 30
METRICS = ("noted",)


def answer(findings):
    return StudyAnswer(name="sure", question=QUESTION, verdict=Verdict.YES, summary="It is.")
'''
FILES = {"kinds/note.py": KIND, "_numbers.py": NUMBERS, "metrics/spread.py": METRIC}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study and its entries, and a home of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write(tmp_path / "entries", dict(FILES))
    (tmp_path / "own.yaml").write_text(STUDY)
    return tmp_path


def _launch(place: Path, root: Storage):
    return launch(
        root,
        load_study(place / "own.yaml"),
        executor=Executor(),
        executor_name="local",
        progress=lambda: nullcontext(Watcher()),
    )


def _keys(place: Path) -> dict[str, str]:
    return {job.label: job.key for job in make_plan(load_study(place / "own.yaml")).jobs}


def test_the_digest_is_in_the_keys_of_the_jobs_that_use_an_entry_and_of_no_others(place: Path):
    plan = make_plan(load_study(place / "own.yaml"))
    pins = {job.stage: job.pins for job in plan.jobs}
    assert set(pins["noted"]) == {"entries/kinds/note.py", "entries/_numbers.py"}
    assert all(pin.startswith("sha256:") for pin in pins["noted"].values())
    assert pins["first"] == pins["table"] == {}
    assert any("metrics/spread.py: nothing names it" in note for note in plan.notes)
    before = _keys(place)
    for path, stages in [
        ("kinds/note.py", {"noted", "table"}),
        ("_numbers.py", {"noted", "table"}),
        ("metrics/spread.py", set()),
    ]:
        file = place / "entries" / path
        text = file.read_bytes()
        file.write_bytes(text + b"# a comment\n")
        after = _keys(place)
        changed = {label.partition("[")[0] for label in before if before[label] != after[label]}
        assert changed == stages, path
        file.write_bytes(text)
    assert _keys(place) == before
    write(place / "entries", {"answers/sure.py": ANSWER})
    after = _keys(place)
    assert [label for label in before if before[label] != after[label]] == ["table"]


def test_keys_follow_bytes_and_not_the_folder(place: Path):
    before = _keys(place)
    shutil.move(place / "entries", place / "mine")
    (place / "own.yaml").write_text(STUDY.replace("./entries", "mine"))
    assert _keys(place) == before


def test_entries_that_no_job_uses_leave_every_key_as_it_was(place: Path):
    text = (Path(__file__).parent / "one_cell.yaml").read_text()
    (place / "own.yaml").write_text(text)
    before = _keys(place)
    (place / "own.yaml").write_text(text.replace("axes:", "entries: entries\naxes:", 1))
    assert _keys(place) == before


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('    raise RuntimeError("no")', "the study's own code fails: RuntimeError: no"),
        ("    return None", "a view could not be made"),
    ],
)
def test_a_view_of_own_code_that_fails_does_not_hide_how_the_launch_ended(
    place: Path, capsys: pytest.CaptureFixture[str], code: str, told: str
):
    wrong = ANSWER.replace(
        '    return StudyAnswer(name="sure"', code + "\n    StudyAnswer(name='s'"
    )
    write(place / "entries", {"answers/sure.py": wrong})
    words = ["--root", str(place / "root"), "--executor", "local"]
    assert main(["launch", str(place / "own.yaml"), *words]) == 1
    shown = capsys.readouterr()
    assert told in shown.err
    assert "own: failed; 4 ran" in shown.out and "answers/sure.py" in shown.out


def test_an_own_kind_is_launched_changed_and_asked_about_without_its_code(
    place: Path, capsys: pytest.CaptureFixture[str]
):
    root = Storage(place / "root")
    write(place / "entries", {"answers/sure.py": ANSWER})
    launched = _launch(place, root)
    assert launched.exit_code == 0
    words = ["--root", str(place / "root")]
    assert main(["compare", str(place / "own.yaml"), *words, "--long", "--format", "csv"]) == 0
    assert "noted" in capsys.readouterr().out
    (answers,) = (place / "root").glob("studies/own/tables/*/answers.json")
    assert "Is it noted?" in answers.read_text()
    for file in (place / "root").rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert b"FACTOR = 2" not in file.read_bytes(), f"{file} holds code"

    (place / "entries/_numbers.py").write_text("FACTOR = 3\n")
    decided = decide_plan(root, load_study(place / "own.yaml"), purpose=Purpose.FORECAST)
    why = {item.job.stage: (item.decision, item.why) for item in decided.decisions}
    assert why["first"][0] is Decision.REUSE
    assert why["noted"] == (
        Decision.CHANGED,
        "pin entries/_numbers.py: the bytes of the file changed",
    )
    (place / "entries/_numbers.py").write_text(NUMBERS)

    shutil.move(place / "entries", place / "away")
    for study in ("own", str(place / "own.yaml")):
        assert main(["status", study, *words]) == 0
        assert "5/5 done" in capsys.readouterr().out
        assert main(["verify", study, *words]) == 0
        assert main(["compare", study, *words, "--metric", "noted", "--format", "csv"]) == 0
        assert "the code of 3 own entries is not here" in capsys.readouterr().err
        assert main(["report", study, *words]) == 0
        assert "the code of 3 own entries is not here" in capsys.readouterr().err
    assert main(["gc", *words]) == 0
    assert "not ours" not in capsys.readouterr().out
    table = open_root(place / "root").study("own").measurements()
    assert sorted(table[table.metric == "noted"]["value"]) == [2.0, 4.0]
    assert main(["plan", str(place / "own.yaml"), *words]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_what_a_root_says_never_decides_which_code_runs(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    root, words = Storage(place / "root"), ["--root", str(place / "root")]
    assert _launch(place, root).exit_code == 0
    ran = place / "ran"
    planted = write(
        place / "planted/entries", {"kinds/note.py": f"open({str(ran)!r}, 'w')\n{KIND}"}
    )
    write(planted, {"_numbers.py": NUMBERS})
    index = place / "root/studies/own/index.json"
    written = json.loads(index.read_text())
    index.write_text(json.dumps({**written, "folder": str(place / "planted")}))
    for verb in ("status", "compare", "report", "verify"):
        assert main([verb, "own", *words]) == 0
    capsys.readouterr()
    for verb in (["plan", "own"], ["launch", "own", "--executor", "local"], ["resume", "own"]):
        assert main([*verb, *words]) == 2
        assert "must not say what code runs here" in capsys.readouterr().err
    assert not ran.exists()

    # In the root itself a folder is never run, whoever names it.
    inside = write(place / "root/studies/own/entries", dict(FILES))
    (place / "root/studies/own/mine.yaml").write_text(STUDY.replace("./entries", str(inside)))
    assert main(["plan", str(place / "root/studies/own/mine.yaml"), *words]) == 2
    assert "lies in the output root" in capsys.readouterr().err
    (place / "other.yaml").write_text(STUDY.replace("./entries", str(inside)))
    assert main(["plan", str(place / "other.yaml"), "--root", str(place / "another")]) == 2
    assert "lies in the output root" in capsys.readouterr().err
    assert main(["schema", "--entries", str(inside)]) == 2
    assert "lies in the output root" in capsys.readouterr().err

    # The folder that was launched from the study's own file is known, and may run by name.
    index.write_text(json.dumps(written))
    assert main(["launch", "own", "--executor", "local", *words]) == 0
    capsys.readouterr()
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "another-home"))
    assert main(["plan", "own", *words]) == 2
    write(place / "config/deltascale", {"config.yaml": f"entries: [{place / 'entries'}]\n"})
    assert main(["plan", "own", *words]) == 0


def test_at_a_terminal_the_user_is_asked_once(place: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def answering(answer: bool):
        def ask(question: str) -> bool:
            asked.append(question)
            return answer

        return lambda: ask

    where = "orchestrator.permission.own_code.ask_at_terminal"
    study, root = load_study(place / "own.yaml"), Storage(place / "root")
    monkeypatch.setattr(where, answering(False))
    with pytest.raises(UserError, match="you did not allow it"):
        decide_plan(root, study, purpose=Purpose.FORECAST)
    monkeypatch.setattr(where, answering(True))
    for _ in range(2):
        decide_plan(root, study, purpose=Purpose.FORECAST)
    assert len(asked) == 2 and str(place / "entries") in asked[0]


def test_an_error_in_own_code_names_its_line_and_is_not_tried_again(place: Path):
    text = KIND.replace("        value = float(", "        value = 1 / 0 + float(")
    line = 1 + text.splitlines().index("        value = 1 / 0 + float(FACTOR * work.params.index)")
    write(place / "entries", {"kinds/note.py": text})
    report = _launch(place, Storage(place / "root")).report
    assert report is not None and len(report.failed) == 2
    assert report.num_attempts == 4  # two probes, and each of the two jobs once
    assert all(f"(in entries/kinds/note.py:{line})" in why for why in report.failed.values())


def test_a_job_does_not_see_an_entry_that_its_key_does_not_name(place: Path):
    looks = "from analysis.metric import METRICS; METRICS.find('spread')"
    text = KIND.replace("        value = float(", f"        {looks}\n        value = float(")
    write(place / "entries", {"kinds/note.py": text})
    report = _launch(place, Storage(place / "root")).report
    assert report is not None and len(report.failed) == 2
    assert all("no metric 'spread'" in why for why in report.failed.values())


def test_a_recorded_study_is_found_by_name_as_it_was_launched(place: Path):
    root = Storage(place / "root")
    _launch(place, root)
    study = find_study(root, "own")
    assert study.recorded_in == root.url and study.entries == place / "entries"


def test_what_asks_goes_on_beside_broken_code_and_what_runs_names_it(
    place: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["--root", str(place / "root")]
    assert _launch(place, Storage(place / "root")).exit_code == 0
    assert main(["plan", str(place / "own.yaml"), *words, "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert set(entries) == {"kinds/note.py", "metrics/spread.py"}
    cell = ["--trace", "noted,index=1"]
    assert main(["compare", str(place / "own.yaml"), *words, *cell]) == 0
    assert f"own code entries/kinds/note.py  sha256:{entries['kinds/note.py']}" in (
        capsys.readouterr().out
    )
    (place / "entries/kinds/note.py").write_text(f"print('loud')\n{KIND}x = = 1\n")
    for verb in ("status", "compare", "verify"):
        assert main([verb, str(place / "own.yaml"), *words]) == 0
    capsys.readouterr()
    line = len(KIND.splitlines()) + 2
    for verb in ("plan", "launch"):
        assert main([verb, str(place / "own.yaml"), *words]) == 2
        assert f"kinds/note.py:{line}" in capsys.readouterr().err
    (place / "entries/kinds/note.py").write_text(f"print('loud')\n{KIND}")
    assert main(["plan", str(place / "own.yaml"), *words, "--json"]) == 0
    json.loads(capsys.readouterr().out)  # what an entry prints is not part of the answer


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("[a, b]", "entries"),
        ("s3://bucket/entries", "a folder of this machine"),
        ("${DELTASCALE_DATA}/entries", "a folder of this machine"),
        ("./nowhere", "does not exist"),
        ("''", "entries"),
    ],
)
def test_a_wrong_folder_is_told_with_the_line_of_the_study(place: Path, written: str, error: str):
    (place / "own.yaml").write_text(STUDY.replace("./entries", written))
    with pytest.raises(UserError, match=error) as raised:
        make_plan(load_study(place / "own.yaml"))
    assert str(raised.value.where) == f"{place / 'own.yaml'}:2"


@pytest.mark.slow
def test_a_formula_of_one_s_own_trains_as_trl_s_loss_of_the_same_formula(place: Path):
    write_entry("objectives", "my-dpo", place / "entries")
    text = (Path(__file__).parent / "one_cell.yaml").read_text()
    text = text.replace("study: one-cell", "study: own\nentries: ./entries")
    text = text.replace("axes:", "axes:\n  objective: [dpo, my-dpo]", 1)
    text = text.replace("kind: align", "kind: align\n    over: [objective]")
    text = text.replace("objective: dpo", 'objective: "${objective}"')
    (place / "own.yaml").write_text(text[: text.index("  delta:")])
    root = Storage(place / "root")
    assert _launch(place, root).exit_code == 0
    study = open_root(place / "root").study("own")
    logs = []
    for objective in ("dpo", "my-dpo"):
        log = study.artifact("aligned", objective=objective).read("training_log.jsonl")
        lines = [json.loads(line) for line in log.decode().splitlines()]
        logs.append([line["loss"] for line in lines if "loss" in line])
    assert len(set(logs[0])) > 1
    assert logs[1] == pytest.approx(logs[0], rel=1e-5)


@pytest.mark.slow
def test_every_door_that_models_meet_over_ray(place: Path):
    """Own metric, objective, format, transform and figure, on a Ray of the launch."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "orchestrator.cli", *words]
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for door in ("objective", "format", "transform", "figure", "writer", "scorer", "intervention"):
        run("new", "--entry", door, f"my-{door}")
    shutil.rmtree(place / "entries/tests")
    text = (Path(__file__).parent / "one_cell.yaml").read_text()
    text = text.replace("study: one-cell", "study: own\nentries: ./entries")
    text = text.replace("objective: dpo", "objective: my-objective")
    text = text.replace("metrics: [relative_norm, consistency]", "metrics: [offset_norm, spread]")
    text = text.replace("new_tokens: 1", "new_tokens: 1, scorer: {name: my-scorer, least: 1}")
    text = text.replace(
        "  table: {kind: compare, gather: [geometry, behaviour], params: {figures: false}}",
        "  lines: {kind: prompts, params: {format: my-format, source: lines.txt, "
        "transform: my-transform+rot13, positions: [last]}}\n"
        "  table: {kind: compare, gather: [geometry, behaviour], params: {metrics: [spread]}}",
    )
    (place / "own.yaml").write_text(text)
    (place / "lines.txt").write_text("one two three\nfour five six\nseven eight nine\n")
    printed = run("launch", "own.yaml", "--root", "root", "--cpus", "2")
    assert "spread" in printed
    figures = {file.name for file in (place / "root").glob("studies/own/figures/*/*.png")}
    assert "my_figure.png" in figures
    assert list((place / "root").glob("studies/own/tables/*/table.my_writer.tsv"))
    (place / "entries").rename(place / "away")
    assert "spread" in run("compare", "own", "--root", "root")
