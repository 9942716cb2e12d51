"""Files under a root: any of them damaged, missing, replaced by a folder, a link or a pipe."""

import json
import os
import shutil
from pathlib import Path
from random import Random

from tests.fuzz.mutation import TEXTS, changed_bytes, changed_json
from tests.fuzz.run import command

_CHAIN = """\
study: chain
stages:
  base: {kind: probe, params: {index: 1}}
  next: {kind: probe, inputs: {after: base}, params: {index: 1, waits: true}}
"""
_LOOKS = (
    ("plan", "chain"),
    ("status",),
    ("status", "chain", "--json"),
    ("status", "new"),
    ("plan", "new"),
    ("plan", "new", "--machines", "2x8xH100"),
    ("verify", "new"),
    ("verify", "chain", "--json"),
    ("compare", "new"),
    ("compare", "new", "--answers"),
    ("compare", "new", "--long", "--format", "csv"),
    ("compare", "new", "--controls"),
    ("report", "new"),
    ("cancel", "new"),
    ("gc",),
    ("logs", "chain", "base"),
)
_DEEDS = (
    ("launch", "chain", "--executor", "local"),
    ("resume", "chain", "--executor", "local"),
    ("verify", "chain", "--repair", "--executor", "local"),
    ("gc", "--apply"),
)


class Fuzzer:
    """Damages one to three files of a root, and runs one verb on it."""

    WRITES = "work/root"

    def __init__(self, given: Path) -> None:
        self.root = given / "root"
        _fill(self.root, given)
        self.files = [path for path in sorted(self.root.rglob("*")) if path.is_file()]
        # Of a large root most files are alike: what a study has once counts as much.
        self.folders = sorted({path.parent for path in self.files})

    def case(self, rng: Random, work: Path) -> None:
        """Damage a copy of the root and ask about it, or go on with it."""
        root = work / "root"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.root, root, symlinks=True)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            of_folder = rng.choice(self.folders)
            inside = [path for path in self.files if path.parent == of_folder]
            _damage(root / rng.choice(inside).relative_to(self.root), rng, work)
        if rng.random() < 0.1:
            _add(root, rng)
        words = rng.choice(_LOOKS if rng.random() < 0.8 else _DEEDS)
        command(*words, "--root", str(root))


def _damage(path: Path, rng: Random, work: Path) -> None:
    if not path.is_file() or path.is_symlink():
        return
    draw = rng.random()
    if draw < 0.55 and path.suffix in (".json", ""):
        path.write_bytes(changed_json(path.read_bytes(), rng))
    elif draw < 0.55 and path.suffix == ".jsonl":
        lines = path.read_bytes().splitlines(keepends=True)
        at = rng.randrange(len(lines) or 1)
        lines[at : at + 1] = [changed_json(lines[at] if lines else b"{}", rng) + b"\n"]
        path.write_bytes(b"".join(lines))
    elif draw < 0.8:
        path.write_bytes(changed_bytes(path.read_bytes(), rng))
    else:
        path.unlink()
        if draw < 0.87:
            path.mkdir()
            (path / "inside").write_text("x")
        elif draw < 0.91:
            _link(path, rng, work.parent / "outside")
        elif draw < 0.93:
            os.mkfifo(path)
        elif draw < 0.95:
            shutil.rmtree(path.parent)
            path.parent.write_text("a file where a folder was")


def _link(path: Path, rng: Random, outside: Path) -> None:
    """Lead from a file, or from its folder, to what is not under the root."""
    draw = rng.random()
    if draw < 0.4:
        path.symlink_to(outside / "file")
    elif draw < 0.6:
        path.symlink_to(outside / "new")
    elif draw < 0.7:
        path.symlink_to(outside)
    else:
        shutil.rmtree(path.parent)
        path.parent.symlink_to(outside)


def _add(root: Path, rng: Random) -> None:
    """Put what is not ours beside what is."""
    folders = [path for path in sorted(root.rglob("*")) if path.is_dir()]
    names = [text for text in TEXTS if text and "/" not in text and text not in ("..", ".")]
    place = rng.choice(folders) / rng.choice([name for name in names if len(name) < 200])
    if rng.random() < 0.5:
        place.mkdir(exist_ok=True)
    elif not place.exists():
        place.write_text(rng.choice(("", "{}", "x", "123")))


def _fill(root: Path, given: Path) -> None:
    """Make a root with a launched chain of probes, and the study of `new` as if all were done."""
    from cluster.storage import Storage
    from orchestrator.cli import main
    from orchestrator.plan.plan import make_plan
    from orchestrator.study.study import load_study
    from orchestrator.study.template import study_template

    (given / "chain.yaml").write_text(_CHAIN)
    (given / "new.yaml").write_text(study_template("new", "new.yaml"))
    assert (
        main(["launch", str(given / "chain.yaml"), "--executor", "local", "--root", str(root)]) == 0
    )
    storage = Storage(root)
    for job in make_plan(load_study(given / "new.yaml")).jobs:
        if job.kind != "compare":
            _finish(storage, job)
    assert (
        main(["launch", str(given / "new.yaml"), "--executor", "local", "--root", str(root)]) == 0
    )
    study = root / "studies/new"
    (study / "requests").mkdir(exist_ok=True)
    (study / "requests/0.json").write_text(json.dumps({"cancel": None}))
    (root / "revisions").mkdir(exist_ok=True)
    (root / "revisions/hf%3A%2F%2Fa%2Fb%40main.json").write_text(
        json.dumps({"name": "hf://a/b@main", "revision": "0" * 40})
    )
    attempt = next((root / "artifacts/probe").glob("*/attempts/*"))
    (attempt / "progress.json").write_text(json.dumps({"fraction": 0.5, "doing": "it"}))


def _finish(storage: object, job: object) -> None:
    """Leave what a job would, as far as a table looks at it."""
    from analysis.long_table.columns import to_table
    from analysis.long_table.files import to_parquet
    from jobs.artifacts.artifact import Artifact, Record
    from jobs.worker.attempt_folder import AttemptFolder
    from orchestrator.dispatch.worker_messages import write_request

    write_request(storage, job)
    artifact = Artifact(storage, job.kind, job.key)
    folder = AttemptFolder(artifact, "one")
    facts = {"family": "gpt2", "num_parameters": 1000, "num_layers": 3, "d_model": 8}
    row = {"metric": "relative_norm", "value": 0.5, "site": "resid_mid", "position": "last"}
    table = to_table([{**facts, **row, "status": "ok", "depth": 0.5, "layer": 1}], ())
    kept = [name for name in ("model", "key") if name in table.column_names]
    (folder.path / "measurements.parquet").write_bytes(to_parquet(table.drop_columns(kept)))
    inputs = {
        ref.key: Artifact(storage, ref.kind, ref.key).record_digest
        for refs in job.inputs.values()
        for ref in refs
    }
    record = Record(
        key=job.key, kind=job.kind, attempt="one", files=folder.seal(), inputs=inputs, facts=facts
    )
    assert storage.create(artifact.record_name, record.to_json())
    folder.discard_scratch()
