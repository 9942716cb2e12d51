"""The keys that 77fa24f planned: renaming, moving or retyping code never computes work again."""

import json
from pathlib import Path

import pytest

from cluster.storage import Storage
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.study.study import load_study
from orchestrator.study.template import study_template

ROOT = Path(__file__).parent.parent
STUDIES = {
    "nursery": ROOT / "studies/nursery-full.yaml",
    "miniature": ROOT / "tests/end_to_end/miniature.yaml",
    "controls": ROOT / "tests/end_to_end/controls.yaml",
    "one_cell": ROOT / "tests/end_to_end/one_cell.yaml",
}


def planned_keys(file: Path, root: Path) -> dict[str, str]:
    """Cell of every job -> its key, as `plan` shows them on an empty root."""
    jobs = decide_plan(Storage(str(root)), load_study(file)).plan.jobs
    cells = (
        (job.stage, ",".join(f"{axis}={value}" for axis, value in job.cell.items())) for job in jobs
    )
    return {f"{stage}[{cell}]": job.key for (stage, cell), job in zip(cells, jobs, strict=True)}


@pytest.mark.parametrize("name", [*STUDIES, "new"])
def test_a_key_is_what_it_was(name: str, tmp_path: Path) -> None:
    file = STUDIES.get(name, tmp_path / "new-study.yaml")
    if name == "new":
        file.write_text(study_template("new-study", "new-study.yaml"))
    before = json.loads((ROOT / f"tests/keys/{name}.json").read_text())
    assert planned_keys(file, tmp_path / "root") == before


def test_the_full_nursery_uses_every_job_of_the_short_one_again(tmp_path: Path) -> None:
    short, full = (
        planned_keys(ROOT / f"studies/{name}.yaml", tmp_path / "root")
        for name in ("nursery", "nursery-full")
    )
    own = {cell for cell, key in short.items() if key not in full.values()}
    assert own == {"table[]"}
