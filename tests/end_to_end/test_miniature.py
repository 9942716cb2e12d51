"""The whole way, from a study file to a table, as a user would see it."""

import csv
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from analysis.answering.answer import ANSWERS

MINIATURE = str(Path(__file__).parent / "miniature.yaml")


def test_a_launch_ends_with_a_table_by_counted_parameters(undisturbed: Any) -> None:
    shown = undisturbed.run("compare", MINIATURE)
    assert shown.returncode == 0
    for expected in ("toxic_mass", "mean_cosine", "gpt2-tiny", "llama-tiny", "dpo", "sft", "rot13"):
        assert expected in shown.stdout


def test_every_metric_is_measured_everywhere_it_was_asked_for(undisturbed: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(undisturbed.measurements().decode())))
    assert {row["objective"] for row in rows} == {"", "dpo", "sft"}
    assert {(row["status"], bool(row["value"])) for row in rows} == {("ok", True)}
    places = 12 * 2  # two models under two objectives, one of them with two seeds, two transforms
    of_offsets = ("consistency", "mean_cosine", "relative_norm", "relative_norm_p05")
    expected = dict.fromkeys((*of_offsets, "relative_norm_p95"), places)
    expected |= {"participation_ratio": 2 * places}
    expected |= dict.fromkeys(("toxic_mass", "toxic_rate", "perplexity"), 12 + 4)
    assert Counter(row["metric"] for row in rows) == expected


def test_dpo_changes_what_the_model_says_and_where_its_residual_stream_lies(
    undisturbed: Any,
) -> None:
    rows = list(csv.DictReader(io.StringIO(undisturbed.measurements().decode())))
    moved = [float(r["value"]) for r in rows if r["metric"] == "relative_norm" and r["value"]]
    assert moved and min(moved) > 1e-3


def test_answers_stand_beside_the_table_and_every_number_leads_to_its_jobs(
    undisturbed: Any,
) -> None:
    tables = undisturbed.root / "studies/miniature/tables/table"
    answers = json.loads((tables / "answers.json").read_text())
    assert {answer["name"]: answer["verdict"] for answer in answers}["over_dialogue_turns"] == (
        "not measured"
    )
    assert {answer["name"] for answer in answers} == set(ANSWERS.names())
    assert (tables / "answers.md").read_text().count("## ") == len(answers)
    keys = {key for answer in answers for each in answer["evidence"] for key in each["keys"]}
    done = {json.loads(path.read_text())["key"] for path in undisturbed.records()}
    assert keys and keys <= done
    shown = undisturbed.run("compare", MINIATURE, "--answers", "--format", "json")
    assert json.loads(shown.stdout) == answers


def test_the_same_command_again_runs_nothing_and_starts_no_ray(undisturbed: Any) -> None:
    before = [(path, path.stat().st_mtime_ns) for path in undisturbed.records()]
    code = (
        "import sys; from orchestrator.cli import main; "
        f"code = main(['launch', {MINIATURE!r}, '--root', {str(undisturbed.root)!r}]); "
        "loaded = {'ray', 'torch', 'trl'} & set(sys.modules); "
        "sys.exit(f'{code} {loaded}' if code or loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stdout
    assert "toxic_mass" in done.stdout
    assert [(path, path.stat().st_mtime_ns) for path in undisturbed.records()] == before


@pytest.mark.slow  # the launches on Ray that are killed end with these bytes too
def test_ray_gives_the_same_measurements_as_one_process_byte_for_byte(
    undisturbed: Any, command: Any
) -> None:
    done = command.run("launch", MINIATURE, "--executor", "ray")
    assert done.returncode == 0, done.stderr
    assert command.measurements() == undisturbed.measurements()


def test_changing_one_param_reruns_exactly_what_is_below_it_and_says_why(
    undisturbed: Any, edited: Any
) -> None:
    changed = edited(("learning_rate: 1.0e-3", "learning_rate: 2.0e-3"))
    plan = json.loads(undisturbed.run("plan", changed, "--json").stdout)
    again = Counter(job["stage"] for job in plan["jobs"] if job["decision"] != "reuse")
    assert again == {"aligned": 6, "delta": 12, "geometry": 12, "behaviour": 12, "table": 1}
    why = [job["why"] for job in plan["jobs"] if job["stage"] == "aligned"]
    assert all("learning_rate" in one and "0.001" in one and "0.002" in one for one in why)


def test_a_failed_job_stops_only_what_needs_it_and_its_cells_say_so(
    command: Any, edited: Any
) -> None:
    broken = edited(
        (
            "objective: [dpo, sft]",
            "objective: [{name: dpo, rate: 1.0e-3}, {name: sft, rate: 1.0e+30}]",
        ),
        ("learning_rate: 1.0e-3", 'learning_rate: "${objective.rate}"'),
        ("condition: [plain, rot13]", "condition: [plain]"),
    )
    done = command.run("launch", broken, "--executor", "local", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["state"] == "failed"
    assert len(told["failed"]) == 3  # sft on two models, one of them with two seeds
    assert len(told["blocked"]) == 3 * 3 + 1  # extract, measure and behave each; table
    table = command.run("compare", broken)
    assert table.returncode == 0
    assert "job_failed" in table.stdout
    rows = list(csv.DictReader(io.StringIO(command.measurements().decode())))
    assert any(row["objective"] == "dpo" and row["status"] == "ok" for row in rows)
    assert all(row["reason"] for row in rows if row["objective"] == "sft")


def test_a_damaged_file_is_found_and_only_it_is_made_again(
    undisturbed: Any, tmp_path: Path
) -> None:
    import shutil

    root = tmp_path / "copy"
    shutil.copytree(undisturbed.root, root)
    damaged = type(undisturbed)(root=root, wandb_mode="disabled")
    victim = next(root.glob("artifacts/align/*/attempts/*/model/model.safetensors"))
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(bytes(data))
    found = damaged.run("verify", "miniature")
    assert found.returncode == 1
    assert "1 damaged" in found.stdout
    mended = damaged.run("verify", "miniature", "--repair", "--executor", "local")
    assert mended.returncode == 0, mended.stderr
    assert "1 ran" in mended.stdout
    assert damaged.measurements() == undisturbed.measurements()
    assert damaged.run("verify", "miniature").returncode == 0


def test_no_secret_of_the_environment_is_written_anywhere(undisturbed: Any) -> None:
    secrets = (b"hf_notToBeWritten1234567", b"alsoNotToBeWritten")
    written = [path for path in undisturbed.root.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in written), "the mirror was to be looked at too"
    for path in written:
        data = path.read_bytes()
        assert not any(secret in data for secret in secrets), path
