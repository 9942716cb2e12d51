"""A study whose table stands at a dose: train, keep models on the way, measure, read between."""

import json
from pathlib import Path

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.views.several_studies import gather_studies
from tests.launching import launch_locally

STUDY = Path(__file__).parent / "equal_dose.yaml"


@pytest.mark.slow
def test_a_table_at_a_dose_comes_out_of_real_snapshots(tmp_path, capsys):
    root = Storage(str(tmp_path / "root"))
    launch_locally(root, tmp_path / "study.yaml", STUDY.read_text())
    folder = tmp_path / "root/studies/equal-dose/tables/table"
    table = json.loads((folder / "table.json").read_text())
    assert "At equal dose: reward_margin 1 nats" in table["caption"]
    (row,) = table["cells"]
    cells = {"/".join(filter(None, c)): x for c, x in zip(table["columns"], row, strict=True)}
    assert cells["reward_margin/margin=1"]["value"] == 1.0
    after, base = (cells[f"toxic_mass/{place}"]["value"] for place in ("margin=1", "none"))
    assert after < base
    norm = cells["relative_norm/margin=1"]
    assert norm["low"] < norm["value"] < norm["high"]
    names = [file.name for file in (tmp_path / "root/studies/equal-dose/figures/table").iterdir()]
    assert "consistency-against-dose-of-training.png" in names
    gathered = gather_studies(root, ["equal-dose"], {"at": {"kl": 0.02}})
    rows = gathered.comparison.rows
    assert {row["snapshot"] for row in rows} == {None, "kl=0.02"}
    assert {"kl_per_token", "step_at_dose", "consistency"} <= {row["metric"] for row in rows}
    capsys.readouterr()
    cell = "relative_norm,snapshot=kl=0.02"
    words = ["compare", "equal-dose", "--at", "kl=0.02", "--trace", cell, "--json"]
    assert main([*words, "--root", root.url]) == 0
    told = json.loads(capsys.readouterr().out)
    (number,) = told["measurements"]
    assert set(number["key"].split()) == set(told["traces"]) and len(told["traces"]) > 1
    kinds = {kind for chain in told["traces"].values() for kind in kinds_in(chain)}
    assert kinds >= {"measure", "preferences", "extract", "snapshot", "align", "pretrain"}


def kinds_in(chain):
    yield chain["kind"]
    for upstream in chain["inputs"]:
        yield from kinds_in(upstream)
