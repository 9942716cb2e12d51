"""Measuring jobs made by hand: real records of rows that a test chooses."""

import pytest

from analysis.long_table.columns import to_table
from analysis.long_table.files import to_parquet
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.identity import key_of
from jobs.comparing.sources import Source
from jobs.worker.attempt_folder import AttemptFolder

FACTS = {"family": "gpt2", "num_parameters": 1000, "num_layers": 3, "d_model": 8}


@pytest.fixture
def done(tmp_path):
    """A function: stage, cell, rows, axes they sweep, other files -> a source that left them."""
    root = Storage(tmp_path / "root")

    def make(stage, cell, rows, swept=(), kind="behave", files=()):
        key = key_of({"stage": stage, "cell": cell, "rows": rows})
        artifact = Artifact(root, kind, key)
        folder = AttemptFolder(artifact, "one")
        table = to_table([FACTS | row for row in rows], swept).drop_columns(["model", "key"])
        (folder.path / "measurements.parquet").write_bytes(to_parquet(table))
        for name, content in dict(files).items():
            (folder.path / name).write_bytes(content)
        record = Record(key=key, kind=kind, attempt="one", files=folder.seal())
        assert root.create(artifact.record_name, record.to_json())
        folder.discard_scratch()
        return Source(stage=stage, cell=cell, artifact=artifact)

    return make


@pytest.fixture
def lost():
    """A function: stage, cell -> a source that failed."""

    def make(stage, cell, metrics=(), status="job_failed"):
        return Source(
            stage=stage, cell=cell, artifact=None, status=status, reason="killed", metrics=metrics
        )

    return make
