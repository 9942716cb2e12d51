"""The room that kept rows of a base may take, while other jobs write and drop theirs."""

import os
from types import SimpleNamespace

from cluster.storage import Storage
from jobs.extraction.spool import CACHE, Spool


def test_rows_that_another_job_drops_meanwhile_are_not_counted(tmp_path, monkeypatch):
    root = Storage(tmp_path)
    root.write(f"{CACHE}/kept/000000/shard-000.safetensors", bytes(1000))
    kept, scandir = tmp_path / CACHE / "kept", os.scandir

    class Listed(list):
        """What was listed of a folder, in which nothing is any more what it was."""

        def __enter__(self):
            return self

        def __exit__(self, *fault):
            pass

    def listed(place):
        if not os.path.samestat(os.stat(place), os.stat(kept)):
            return scandir(place)
        (kept / ".tmp-0123456789abcdef").mkdir()
        with scandir(place) as entries:
            seen = Listed(entries)
        (kept / ".tmp-0123456789abcdef").rmdir()
        return seen

    monkeypatch.setattr(os, "scandir", listed)
    attempt = SimpleNamespace(path=tmp_path, artifact=SimpleNamespace(storage=root))
    extraction = SimpleNamespace(params=SimpleNamespace(spool_gb=1e-5))
    assert Spool(SimpleNamespace(attempt=attempt), extraction, "cpu").room == 9000
