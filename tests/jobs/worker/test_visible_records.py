"""A record that a network file system hides for a while is looked for; nothing is on a disk."""

import time

import pytest

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.worker import visible_records
from jobs.worker.visible_records import digest_of_input, may_hide


@pytest.fixture
def hidden(tmp_path, monkeypatch):
    """An artifact whose record is seen at the third look."""
    looks = []

    def digest(artifact):
        looks.append(time.monotonic())
        if len(looks) < 3:
            raise SurroundingsError("no valid record")
        return "digest"

    monkeypatch.setattr(Artifact, "record_digest", property(digest))
    monkeypatch.setattr(visible_records, "_PAUSE_S", 0.0)
    return Artifact(Storage(tmp_path), "probe", "0" * 64)


def test_on_a_shared_file_system_it_is_looked_for_until_it_is_seen(hidden, monkeypatch):
    monkeypatch.setattr(visible_records, "may_hide", lambda storage: True)
    assert digest_of_input(hidden, within_s=60.0, stop_requested=lambda: False) == "digest"


@pytest.mark.parametrize(("within_s", "stop", "shared"), [(0, 0, 1), (60, 1, 1), (60, 0, 0)])
def test_it_is_missing_at_once_when_time_is_over_on_a_stop_and_on_a_disk_of_ones_own(
    hidden, monkeypatch, within_s, stop, shared
):
    monkeypatch.setattr(visible_records, "may_hide", lambda storage: bool(shared))
    with pytest.raises(SurroundingsError):
        digest_of_input(hidden, within_s=float(within_s), stop_requested=lambda: bool(stop))


@pytest.mark.parametrize(
    ("kind", "hides"), [("nfs4", True), ("fuse.sshfs", True), ("ext4", False), ("tmpfs", False)]
)
def test_what_hides_is_told_by_the_file_system_that_the_root_lies_on(
    tmp_path, monkeypatch, kind, hides
):
    import psutil

    class Partition:
        def __init__(self, mountpoint, fstype):
            self.mountpoint, self.fstype = mountpoint, fstype

    mounts = [Partition("/", "ext4"), Partition(str(tmp_path / "shared"), kind)]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert may_hide(Storage(tmp_path / "shared" / "root")) is hides
    assert not may_hide(Storage(tmp_path / "shared-not"))
    assert not may_hide(Storage("memory://root"))
