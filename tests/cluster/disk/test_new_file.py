"""Files that `new` and `profile new` write on a disk that runs full."""

import errno
import io
import stat

import pytest

import cluster.disk.new_file
from cluster.disk.new_file import write_new_file
from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from jobs.entries.new_entry import write_entry


class Full(io.TextIOWrapper):
    """A file on a disk that has room for its first bytes alone."""

    def write(self, text):
        super().write(text[:10])
        self.flush()
        raise OSError(errno.ENOSPC, "No space left on device")


def full(path, mode, encoding):
    return Full(open(path, "xb"), encoding=encoding)


def test_what_a_full_disk_cut_off_is_not_in_the_way_of_the_next_try(tmp_path, monkeypatch):
    path = tmp_path / "my-study.yaml"
    with monkeypatch.context() as patch:
        patch.setattr(cluster.disk.new_file, "open", full, raising=False)
        with pytest.raises(SurroundingsError, match="cannot write: No space left") as fault:
            write_new_file(path, "study: my-study\n")
    assert fault.value.fault_class is FaultClass.STORAGE_FULL
    assert not path.exists()

    write_new_file(path, "study: my-study\n")
    assert path.read_text() == "study: my-study\n"
    with pytest.raises(UserError, match="exists and is not overwritten"):
        write_new_file(path, "another")
    assert path.read_text() == "study: my-study\n"


def test_an_entry_whose_test_finds_no_room_is_not_left_alone(tmp_path, monkeypatch):
    def full_for_tests(path, mode, encoding):
        opens = full if "tests" in str(path) else open
        return opens(path, mode, encoding=encoding)

    with monkeypatch.context() as patch:
        patch.setattr(cluster.disk.new_file, "open", full_for_tests, raising=False)
        with pytest.raises(SurroundingsError, match="No space left"):
            write_entry("metrics", "my_metric", tmp_path / "entries")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]

    entry, test = write_entry("metrics", "my_metric", tmp_path / "entries")
    assert entry.is_file() and test.is_file()


def test_a_folder_is_made_where_that_is_asked_for(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        write_new_file(tmp_path / "profiles" / "a.yaml", "kind: local\n")
    write_new_file(tmp_path / "profiles" / "a.yaml", "kind: local\n", folder_mode=0o700)
    assert stat.S_IMODE((tmp_path / "profiles").stat().st_mode) == 0o700
