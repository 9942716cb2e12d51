"""Every kind that takes a model, on models on the way of a training: on a disk and on S3."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.plan.decisions import Decision
from orchestrator.study.study import load_study

pytestmark = pytest.mark.slow

STUDY = Path(__file__).parent / "snapshot_readers.yaml"
MEASURED = {
    "table": {
        "delta": "relative_norm",
        "drift": "weight_drift",
        "lens": "token_kl",
        "achieved": "reward_margin",
        "says": "toxic_rate",
        "toxic": "probe_auc",
        "patched": "patched_toxic_mass",
    },
    "after": {
        "rounded-says": "toxic_mass",
        "further-delta": "relative_norm",
        "further-drift": "weight_drift",
    },
}
"""Table -> stage whose numbers it has -> one of them."""
LET_GO = ("base", "aligned", "further")
ON_S3 = ("delta", "geometry", "drift", "rounded", "scored", "further", "further-dosed")


def tables(root: Storage) -> dict[str, bytes]:
    return {name: root.read(f"studies/readers/tables/{name}/measurements.csv") for name in MEASURED}


def rows(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode())))


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """A root with the whole study."""
    folder = tmp_path_factory.mktemp("readers") / "root"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        words = ["launch", str(STUDY), "--executor", "local", "--root", str(folder)]
        assert main(words) == 0
    return Storage(folder)


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., str]:
    """A function: what changes the study -> the file of the changed one."""

    def edit(change: Callable[[dict[str, Any]], None]) -> str:
        study = yaml.safe_load(STUDY.read_text())
        change(study)
        path = tmp_path / "edited.yaml"
        path.write_text(yaml.safe_dump(study, sort_keys=False))
        return str(path)

    return edit


@pytest.mark.parametrize("table", MEASURED)
def test_every_kind_measures_a_model_on_the_way_and_says_where_there_is_none(
    launched: Storage, table: str
) -> None:
    found = rows(tables(launched)[table])
    for metric in MEASURED[table].values():
        of_metric = [row for row in found if row["metric"] == metric]
        for lora in ("full", "adapter"):
            by_label: Mapping[str, Any] = {
                label: [r for r in of_metric if (r["lora"], r["snapshot"]) == (lora, label)]
                for label in ("step-2", "kl-50", "end")
            }
            assert all(by_label.values()), (metric, lora)
            for row in (*by_label["step-2"], *by_label["end"]):
                assert row["value"], (metric, row)
            for row in by_label["kl-50"]:
                assert row["value"] == "" and "never reached it: the most was" in row["reason"]
    assert not {row["status"] for row in found} & {"failed", "blocked"}


def test_all_of_it_verifies_and_nothing_that_is_needed_is_garbage(
    launched: Storage, capsys: Any
) -> None:
    root = ["--root", launched.url]
    assert main(["verify", str(STUDY), *root, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["damaged"] == []
    assert main(["gc", "--json", *root]) == 0
    names = [item["name"] for item in json.loads(capsys.readouterr().out)["items"]]
    assert not [name for name in names if "/snapshots" in name or name.count("/") == 2]


def test_a_damaged_part_is_repaired_to_the_same_bytes_and_nothing_else_runs(
    launched: Storage, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    root = Storage(shutil.copytree(launched.url, tmp_path / "copy"))
    parts = [
        name for name in root.walk("artifacts/align") if name.endswith("2/difference.safetensors")
    ]
    whole = root.read(parts[0])
    root.write(parts[0], whole[:-1] + bytes([whole[-1] ^ 1]))
    assert main(["verify", str(STUDY), "--root", root.url]) == 1
    assert "snapshots/2/difference.safetensors" in capsys.readouterr().out
    repair = ["--repair", "--executor", "local"]
    assert main(["verify", str(STUDY), "--root", root.url, *repair]) == 0
    assert "1 ran," in capsys.readouterr().out
    (again,) = [
        name
        for name in root.walk(parts[0].partition("/attempts/")[0])
        if name.endswith("2/difference.safetensors")
        if name.partition("/snapshots/")[0].endswith(_winner(root, name))
    ]
    assert root.read(again) == whole


def _winner(root: Storage, name: str) -> str:
    folder = name.partition("/attempts/")[0]
    return str(json.loads(root.read(f"{folder}/record.json"))["attempt"])


def test_weights_stay_until_every_reader_of_a_snapshot_is_done_and_come_back(
    launched: Storage, edited: Callable[..., str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")

    def until_read(study: dict[str, Any]) -> None:
        for stage in LET_GO:
            study["stages"][stage]["keep"] = "until-read"

    root = Storage(tmp_path / "root")
    words = ["launch", "--executor", "local", "--root", root.url]
    assert main([*words, edited(until_read)]) == 0
    assert tables(root) == tables(launched)
    left = [n for n in root.walk("artifacts") if n.endswith(".safetensors")]
    assert not [n for n in left if n.startswith(("artifacts/align/", "artifacts/pretrain/"))]

    def one_more(study: dict[str, Any]) -> None:
        until_read(study)
        reader = {**study["stages"]["says"], "where": {"lora": "full", "snapshot": "step-2"}}
        study["stages"]["more"] = {**reader, "params": {**reader["params"], "new_tokens": 3}}

    again = edited(one_more)
    decided = decide_plan(root, load_study(Path(again)))
    remade = {one.job.label for one in decided.decisions if one.decision is Decision.REMAKE}
    assert remade == {"base", "aligned[lora=full]"}
    assert main([*words, again]) == 0
    assert tables(root) == tables(launched)


def test_it_rehearses_whole(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main(["rehearse", str(STUDY), "--root", str(tmp_path / "results"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["faults"] == [] and {one["state"] for one in report["stages"]} == {"held"}
    assert main(["fetch", str(STUDY), "--root", str(tmp_path / "results")]) == 0


def test_on_an_object_storage_it_is_the_same(
    launched: Storage, edited: Callable[..., str], bucket: str, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")

    def few(study: dict[str, Any]) -> None:
        kept = {"base", "pairs", "prompts", "aligned", "dosed", "further-drift", *ON_S3}
        stages = {name: stage for name, stage in study["stages"].items() if name in kept}
        stages["after"] = {**study["stages"]["after"], "gather": ["geometry", "drift"]}
        study |= {"stages": stages, "axes": {**study["axes"], "snapshot": ["step-2", "kl-50"]}}
        study["axes"].pop("intervention")

    url = f"{bucket}/root"
    study = edited(few)
    assert main(["launch", study, "--executor", "local", "--root", url]) == 0
    root = Storage(url)
    there = rows(root.read("studies/readers/tables/after/measurements.csv"))
    here = {_cell(row): row for row in rows(tables(launched)["table"])}
    assert len(there) > 10
    for row in there:
        same = here[_cell(row)]
        assert row == {name: same[name] for name in row}
    capsys.readouterr()
    assert main(["verify", study, "--root", url]) == 0
    assert main(["launch", study, "--root", url]) == 0
    assert "nothing to do" in capsys.readouterr().out


def _cell(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("lora", "snapshot", "metric", "site", "layer", "position"))
