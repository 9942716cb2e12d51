import subprocess
import sys
from pathlib import Path

from jobs.kind import KINDS
from orchestrator.study.template import study_template

HEAVY = (
    "torch",
    "ray",
    "transformers",
    "trl",
    "wandb",
    "pandas",
    "datasets",
    "matplotlib",
    "scipy",
)


def imported_by(code: str, *words: str) -> set[str]:
    """Which of the heavy libraries a fresh interpreter has after running code."""
    tail = f"\nimport sys; print('imported', *[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code + tail, *words], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_planning_explaining_and_the_schema_import_nothing_heavy(tmp_path: Path):
    (tmp_path / "s.yaml").write_text(study_template("s", "s.yaml"))
    code = """
import sys
from cluster.storage import Storage
from orchestrator.plan.decisions import decide_jobs
from orchestrator.plan.plan import make_plan
from orchestrator.plan.plan_document import plan_document
from orchestrator.study.schema import schema
from orchestrator.study.study import load_study
plan = make_plan(load_study(sys.argv[1]))
plan_document(plan, decide_jobs(plan, Storage(sys.argv[2])))
schema()
"""
    assert imported_by(code, str(tmp_path / "s.yaml"), str(tmp_path / "root")) == set()


def test_no_kind_imports_anything_heavy():
    names = ", ".join(f"jobs.kinds.{name.replace('-', '_')}" for name in KINDS.names())
    assert imported_by(f"import {names}") == set()


def test_the_check_would_see_a_heavy_import():
    assert imported_by("import wandb") >= {"wandb"}
