"""Time and memory of planning 10,000 jobs and of finding them all done, in fresh processes.

    python -m benchmarks.planning [--jobs 10000]

The study has a hundred roots and a stage below them (10,000 jobs of kind `probe`); a second one has
10,000 jobs with different params. Records are written as a launch leaves them, without running.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster.storage import Storage
from jobs.artifacts.artifact import FileEntry, Record, digest_bytes
from jobs.artifacts.job import Job
from orchestrator.plan.decisions import decide_jobs
from orchestrator.plan.plan import make_plan
from orchestrator.plan.plan_document import plan_document
from orchestrator.plan.study_folder import write_study
from orchestrator.study.study import load_study

_MEASURED = """
import resource, sys, time
began = time.perf_counter()
from cluster.storage import Storage
from orchestrator.plan.decisions import decide_jobs
from orchestrator.plan.plan import make_plan
from orchestrator.plan.plan_document import plan_document
from orchestrator.study.study import load_study
from orchestrator.plan.study_folder import document_text
imported = time.perf_counter()
plan = make_plan(load_study(sys.argv[1]))
planned = time.perf_counter()
document = plan_document(plan, decide_jobs(plan, Storage(sys.argv[2])))
text = document_text(document)
explained = time.perf_counter()
heavy = [name for name in ("torch", "ray", "transformers", "pandas") if name in sys.modules]
print(document["totals"]["jobs"], document["totals"]["reuse"], imported - began,
      planned - imported, explained - planned,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, heavy)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    num_jobs = parser.parse_args().jobs
    print(f"{'':34}{'jobs':>7}{'done':>7}{'import':>8}{'plan':>7}{'explain':>9}{'RSS':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree, flat = folder / "tree.yaml", folder / "flat.yaml"
        tree.write_text(tree_study(num_jobs))
        flat.write_text(flat_study(num_jobs))
        empty, full = folder / "empty", folder / "full"
        _measure("plan, few different params", tree, empty)
        _measure("plan, all params different", flat, empty)
        finish(tree, full)
        _measure("launch again, all done", tree, full)
        changed = folder / "changed.yaml"
        changed.write_text(tree.read_text().replace("waits: true", "waits: true, fail: true"))
        _measure("plan, all but the roots changed", changed, full)
    print(f"{'deltascale --help':34}{_help():>29.2f} s")


def _measure(what: str, study: Path, root: Path) -> None:
    words = [sys.executable, "-c", _MEASURED, str(study), str(root)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    jobs, done, imported, planned, explained, memory, heavy = said.split(maxsplit=6)
    print(
        f"{what:34}{jobs:>7}{done:>7}{float(imported):>6.2f} s{float(planned):>5.2f} s"
        f"{float(explained):>7.2f} s{float(memory):>5.0f} MB  heavy imports: {heavy.strip()}"
    )


def _help() -> float:
    code = (
        "import subprocess, sys, time; began = time.perf_counter();"
        "subprocess.run([sys.executable, '-m', 'orchestrator.cli', '--help'],"
        " stdout=subprocess.DEVNULL, check=True);"
        "print(time.perf_counter() - began)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def tree_study(num_jobs: int) -> str:
    """Write a study of a hundred roots and a stage below them."""
    roots = 100
    return f"""
study: planning
axes:
  root: {list(range(roots))}
  leaf: {list(range(num_jobs // roots - 1))}
stages:
  first: {{kind: probe, over: [root], params: {{index: "${{root}}"}}}}
  second: {{kind: probe, over: [leaf], inputs: {{after: first}},
           params: {{index: "${{leaf}}", waits: true}}}}
"""


def flat_study(num_jobs: int) -> str:
    """Jobs that need nothing of one another."""
    return f"""
study: planning
axes: {{index: {list(range(num_jobs))}}}
stages:
  first: {{kind: probe, over: [index], params: {{index: "${{index}}"}}}}
"""


def finish(study: Path, folder: Path) -> None:
    """Leave what a launch leaves."""
    root = Storage(folder)
    plan = make_plan(load_study(study))
    write_study(root, plan, plan_document(plan, decide_jobs(plan, root)))
    digests: dict[str, str] = {}
    for job in plan.jobs:
        record = _record(job, digests)
        digests[job.key] = record.content_digest
        place = folder / job.folder
        (place / "attempts/one").mkdir(parents=True)
        (place / "attempts/one/probe.txt").write_text(f"{job.params['index']}\n")
        (place / "record.json").write_bytes(record.to_json())
        (place / "job.json").write_text(json.dumps({"identity": job.identity}, indent=1))


def _record(job: Job, digests: dict[str, str]) -> Record:
    data = f"{job.params['index']}\n".encode()
    return Record(
        key=job.key,
        kind=job.kind,
        attempt="one",
        files={"probe.txt": FileEntry(bytes=len(data), xxh3=digest_bytes(data))},
        inputs={ref.key: digests[ref.key] for refs in job.inputs.values() for ref in refs},
        facts={"index": job.params["index"], "depth": len(job.inputs)},
        versions={"python": "3.11.7", "numpy": "2.4.0", "torch": "2.13.0"},
        commit="0123456789ab",
        seconds=0.1,
    )


if __name__ == "__main__":
    main()
