import os
import shutil

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage


def test_what_vanishes_while_a_folder_is_removed_is_no_fault(tmp_path, monkeypatch):
    root = Storage(tmp_path)
    root.write("folder/a", b"")
    root.write("folder/b", b"")
    rmtree = shutil.rmtree

    def one_goes_first(path, **options):
        if (tmp_path / "folder" / "a").exists():
            os.unlink(tmp_path / "folder" / "a")
            raise FileNotFoundError(path)
        rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", one_goes_first)
    root.remove("folder")
    assert not root.exists("folder")
    root.remove("folder")


def test_what_cannot_be_removed_is_told(tmp_path, monkeypatch):
    root = Storage(tmp_path)
    root.write("folder/a", b"")

    def refuse(path, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(SurroundingsError, match="cannot delete folder: Permission denied"):
        root.remove("folder")


def test_a_folder_that_may_not_be_read_is_the_surroundings_fault(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    root = Storage(tmp_path)
    root.write("studies/one", b"")
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SurroundingsError, match="cannot list studies: Permission") as fault:
        root.list("studies")
    assert fault.value.fault_class is FaultClass.PERMISSION


@pytest.mark.parametrize("root", ["a\0b", "x" * 300, "x/" * 3000, "~no-such-user/x", "caf\udce9"])
def test_a_root_that_can_be_no_path_is_refused(root):
    with pytest.raises(UserError, match="cannot be a path"):
        Storage(root)


def test_a_root_in_whose_place_something_else_lies_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        Storage(tmp_path / "file").require_writable()
    (tmp_path / "link").symlink_to(tmp_path / "scratch")
    root = Storage(tmp_path / "link")
    with pytest.raises(UserError, match="is a link to .*/scratch, which is not there"):
        root.require_folder()
    (tmp_path / "scratch").mkdir()
    root.require_writable()
