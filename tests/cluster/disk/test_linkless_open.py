import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.disk import linkless_open
from cluster.disk.below_root import BelowRoot
from cluster.disk.disk_faults import ForeignEntry
from cluster.disk.linkless_open import open_through_no_link

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="openat2 is Linux's")

_LOOK = os.O_PATH | os.O_CLOEXEC


@pytest.fixture(params=["openat2", "in steps", "not allowed"])
def below(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BelowRoot]:
    """Give a root on a kernel that has the call, on one without it, and in a strict container."""
    if request.param != "openat2":
        number = errno.ENOSYS if request.param == "in steps" else errno.EPERM

        class Refused(linkless_open._Opener):
            def __call__(self, path: str) -> int:
                ctypes.set_errno(number)
                return -1

        monkeypatch.setattr(linkless_open, "_Opener", Refused)
    linkless_open._opener.cache_clear()
    yield BelowRoot(str(tmp_path / "root"))
    linkless_open._opener.cache_clear()


def _free_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_root_reads_and_makes_the_same_with_and_without_the_call(
    below: BelowRoot, tmp_path: Path
) -> None:
    root, before = tmp_path / "root", _free_descriptors()
    below.make_folder("a/b/c")
    assert (root / "a/b/c").is_dir()
    (root / "a/b/c/file").write_text("text")
    descriptor = below.open_file("a/b/c/file")
    assert os.read(descriptor, 9) == b"text"
    os.close(descriptor)
    assert below.stat("a/b/c/file").st_size == 4
    assert stat.S_ISDIR(below.stat("a/b").st_mode)
    with below.parent("new/deep/file", make=True) as (folder, last):
        assert (last, os.listdir(folder)) == ("file", [])
        os.fsync(folder)
    below.require_no_link("a/b/c/file")
    below.require_no_link("nothing/there")
    for missing in ("a/none/file", "a/b/c/file/below", "none"):
        with pytest.raises(FileNotFoundError):
            below.stat(missing)
        with pytest.raises(FileNotFoundError):
            below.open_file(missing)
    assert _free_descriptors() == before


@pytest.mark.parametrize("way", ["link/file", "a/link/file"])
def test_no_link_on_the_way_is_followed(below: BelowRoot, tmp_path: Path, way: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "file").write_text("secret")
    link = root / way.removesuffix("/file")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    for look in (below.open_file, below.stat, below.require_no_link):
        with pytest.raises(ForeignEntry):
            look(way)
    with pytest.raises(ForeignEntry):
        below.make_folder(f"{way}/made")
    assert os.listdir(outside) == ["file"]


def test_what_is_a_link_itself_is_known_as_one_and_not_read(
    below: BelowRoot, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to("/etc/hostname")
    (tmp_path / "root" / "dangling").symlink_to("/nowhere/at/all")
    os.mkfifo(tmp_path / "root" / "pipe")
    for name in ("link", "dangling"):
        assert stat.S_ISLNK(below.stat(name).st_mode)
        with pytest.raises(ForeignEntry):
            below.open_file(name)
        with pytest.raises(ForeignEntry):
            below.require_no_link(name)
    with pytest.raises(ForeignEntry):
        below.open_file("pipe")


def test_the_root_itself_may_be_a_link(below: BelowRoot, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    below.make_folder("a/b")
    (tmp_path / "disk/a/b/file").write_text("text")
    below.require_no_link("a/b/file")
    assert below.stat("a/b/file").st_size == 4


def test_one_call_opens_a_path_and_says_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    descriptor = open_through_no_link(f"{tmp_path}/a", _LOOK)
    if descriptor is None:
        pytest.skip("this kernel has no openat2")
    assert os.path.samestat(os.fstat(descriptor), os.stat(tmp_path / "a"))
    os.close(descriptor)
    with pytest.raises(FileNotFoundError):
        open_through_no_link(f"{tmp_path}/b", _LOOK)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert open_through_no_link(f"{tmp_path}/link", _LOOK) is None
