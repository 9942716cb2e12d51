"""The clock of a file system, which may not be ours."""

import os
import time

import pytest

from cluster.disk.disk_clock import age_s, now_of
from cluster.locks.file_lock import FileLock
from cluster.locks.holder import Holder
from cluster.storage import Storage


def test_an_age_is_taken_by_the_clock_that_stamps_files_not_by_ours(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    stamped = file.stat().st_mtime
    os.utime(file, (stamped - 100, stamped - 100))
    monkeypatch.setattr(time, "time", lambda: stamped - 5000.0)  # ours is an hour behind
    assert 100 <= age_s(file) < 160
    assert 100 <= Storage(tmp_path).age_s("file") < 160
    assert list(tmp_path.iterdir()) == [file]
    lock = FileLock(tmp_path / "lock")
    with lock.hold(Holder(pid=7, host="node", launch="theirs", since=12.5)):
        os.utime(lock.path, (stamped - 300, stamped - 300))
        assert 300 <= lock.holder().silent_s < 360


def test_where_nothing_may_be_written_our_clock_must_do(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    assert now_of(tmp_path / "missing") is None
    monkeypatch.setattr("cluster.disk.disk_clock.now_of", lambda folder: None)
    assert age_s(tmp_path / "file") < 60
    with pytest.raises(FileNotFoundError):
        Storage(tmp_path).age_s("missing")
