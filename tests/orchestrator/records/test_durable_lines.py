"""Lines come out once and in order, whatever writes and syncs do in between."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from orchestrator.records.durable_lines import FileLines, ObjectLines

FULL = OSError(errno.ENOSPC, "no room")


class Disk:
    """The calls of a disk: each may fail, write a part, or forget what was not synced."""

    def __init__(self, path, plan):
        self.path, self.plan, self.number = path, list(plan), 0
        self.synced = b""

    def pwrite(self, descriptor, data, offset):
        self.number += 1
        step = self.plan[self.number % len(self.plan)] if self.plan else "well"
        if step == "fail":
            raise FULL
        if step == "part":
            os.lseek(descriptor, offset, os.SEEK_SET)
            os.write(descriptor, data[: len(data) // 2])
            raise FULL
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data[: 7 if step == "short" else len(data)])

    def fsync(self, descriptor):
        self.number += 1
        step = self.plan[self.number % len(self.plan)] if self.plan else "well"
        if step in ("fail", "part"):
            # What the kernel could not write it forgets: the file is as it was synced last.
            os.truncate(self.path, 0)
            with open(self.path, "r+b") as stream:
                stream.write(self.synced)
            raise OSError(errno.EIO, "lost")
        self.synced = self.path.read_bytes()


@given(
    batches=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    plan=st.lists(st.sampled_from(["well", "fail", "part", "short"]), max_size=7),
)
def test_every_line_is_in_the_file_once_and_in_order(tmp_path_factory, batches, plan):
    root = Storage(tmp_path_factory.mktemp("root"))
    moment = iter(range(10_000))
    lines = FileLines(root, "lines", clock=lambda: float(next(moment)))
    disk = Disk(root.path("lines.jsonl"), plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.records.durable_lines.os", _Os(disk))
        expected = []
        for size in batches:
            for _ in range(size):
                expected.append(f"line {len(expected)}")
                lines.append(expected[-1])
            try:
                lines.flush()
                assert not lines.has_unwritten
            except SurroundingsError as fault:
                assert fault.fault_class in (FaultClass.STORAGE_FULL, FaultClass.STORAGE_AWAY)
        disk.plan = []
        lines.close()
    assert root.read("lines.jsonl").decode().splitlines() == expected


class _Os:
    """The module `os` with the writes of a disk."""

    def __init__(self, disk):
        self._disk = disk

    def __getattr__(self, name):
        return getattr(self._disk if name in ("pwrite", "fsync") else os, name)


def test_nothing_is_written_beneath_a_root_that_is_not_mounted_any_more(tmp_path, monkeypatch):
    mounted, aside = tmp_path / "root", tmp_path / "aside"
    lines = FileLines(Storage(mounted), "folder/lines")
    lines.append("one")
    lines.flush()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _raise_stale)
        lines.append("two")
        with pytest.raises(SurroundingsError):
            lines.flush()
    mounted.rename(aside)
    for is_beneath_there in (False, True):
        if is_beneath_there:
            mounted.mkdir()
        for write in (lines.flush, lines.close):
            with pytest.raises(SurroundingsError) as caught:
                write()
            assert caught.value.fault_class is FaultClass.STORAGE_AWAY
        assert not list(tmp_path.glob("root/*"))
    mounted.rmdir()
    aside.rename(mounted)
    lines.close()
    assert (mounted / "folder/lines.jsonl").read_text() == "one\ntwo\n"


def _raise_stale(*arguments):
    raise OSError(errno.ESTALE, "stale")


def test_a_file_system_without_fsync_is_written_all_the_same(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.EINVAL, "no fsync here")

    monkeypatch.setattr(os, "fsync", refuse)
    lines = FileLines(Storage(tmp_path), "lines")
    lines.append("one")
    lines.close()
    assert (tmp_path / "lines.jsonl").read_text() == "one\n"


@pytest.mark.parametrize("url", ["local", "memory"])
def test_a_second_writer_of_the_name_goes_on_where_the_first_ended(tmp_path, url):
    root = Storage(tmp_path if url == "local" else f"memory://{tmp_path.name}")
    kind = FileLines if root.is_local else ObjectLines
    for word in ("first", "second"):
        lines = kind(root, "folder/lines")
        lines.append(word)
        lines.close()
    written = [root.read(f"folder/{name}") for name in root.list("folder")]
    assert b"".join(written) == b"first\nsecond\n"


def test_a_remote_storage_that_is_away_gets_all_lines_when_it_is_back(tmp_path, monkeypatch):
    root = Storage(f"memory://{tmp_path.name}")
    lines = ObjectLines(root, "folder/lines")
    away = {"is_on": True}
    real = Storage.write

    def write(storage, name, data):
        if away["is_on"]:
            raise SurroundingsError("away", fault_class=FaultClass.STORAGE_AWAY)
        real(storage, name, data)

    monkeypatch.setattr(Storage, "write", write)
    for number in range(3):
        lines.append(str(number))
        with pytest.raises(SurroundingsError):
            lines.flush()
        assert lines.has_unwritten
    away["is_on"] = False
    lines.flush()
    assert not lines.has_unwritten
    assert root.read("folder/lines.000000.jsonl") == b"0\n1\n2\n"
