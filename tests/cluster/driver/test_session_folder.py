"""The private folder of a Ray of our own: who may enter, and when it goes."""

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cluster.driver import session_folder
from cluster.driver.session_folder import SessionFolder
from cluster.errors import SurroundingsError

HOLD = """
import sys
from cluster.driver.session_folder import SessionFolder
folder = SessionFolder()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(monkeypatch):
    """A temp folder whose path is short, as Ray's sockets need it."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="d") as folder:
        monkeypatch.setattr(session_folder, "_ELSEWHERE", ())
        monkeypatch.setattr(session_folder.tempfile, "gettempdir", lambda: folder)
        yield Path(folder)


def test_nobody_else_may_enter_it_nor_read_what_it_holds(place):
    mask = os.umask(0)
    try:
        folder = SessionFolder()
        token = folder.write_private("token", "x")
    finally:
        os.umask(mask)
    for path in (folder.path.parent, folder.path):
        assert path.stat().st_mode & 0o777 == 0o700
    assert token.stat().st_mode & 0o777 == 0o600
    folder.remove()
    assert not folder.path.exists()


def test_a_folder_that_others_may_enter_is_closed(place):
    (place / f"dscale-{os.getuid()}").mkdir(mode=0o777)
    folder = SessionFolder()
    assert folder.path.parent.stat().st_mode & 0o077 == 0
    folder.remove()


@pytest.mark.parametrize("what", ["a link", "somebody else's"])
def test_a_folder_that_somebody_else_made_first_is_not_used(place, monkeypatch, what):
    mine = place / f"dscale-{os.getuid()}"
    if what == "a link":
        (place / "there").mkdir()
        mine.symlink_to(place / "there")
    else:
        mine.mkdir()
        monkeypatch.setattr(session_folder.os, "getuid", lambda: 777)
        mine.rename(place / "dscale-777")
    with pytest.raises(SurroundingsError, match="no private folder") as fault:
        SessionFolder()
    assert "belongs to somebody else" in fault.value.where
    assert not list(place.glob("there/*"))


def test_a_place_with_too_long_a_name_is_passed_over(place, monkeypatch):
    long = place / ("x" * 60)
    monkeypatch.setattr(session_folder.tempfile, "gettempdir", lambda: str(long))
    with pytest.raises(SurroundingsError, match="no private folder"):
        SessionFolder()
    monkeypatch.setattr(session_folder, "_ELSEWHERE", (str(place),))
    folder = SessionFolder()
    assert folder.path.is_relative_to(place)
    folder.remove()


def test_what_a_killed_process_left_is_swept_at_the_next_start_and_the_livings_is_not(place):
    code = f"import tempfile; tempfile.gettempdir = lambda: {str(place)!r}\n{HOLD}"
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    folders = [Path(holder.stdout.readline().strip()) for holder in holders]
    (folders[0] / "r" / "session").mkdir(parents=True)
    holders[0].kill()
    holders[0].wait()
    assert folders[0].exists()
    outside = place / "outside"
    outside.mkdir()
    (folders[0].parent / "link").symlink_to(outside)

    mine = SessionFolder()
    assert not folders[0].exists()
    assert folders[1].exists()
    assert mine.path.exists()
    assert outside.exists()
    mine.remove()
    holders[1].communicate("")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_a_place_without_locks_is_passed_over(place, monkeypatch, number):
    """As a Lustre that is mounted without `flock`, where batch jobs may have their TMPDIR."""
    there = place / "t"
    there.mkdir()
    real = fcntl.flock

    def flock(descriptor, operation):
        if not Path(os.readlink(f"/proc/self/fd/{descriptor}")).is_relative_to(there):
            raise OSError(number, os.strerror(number))
        real(descriptor, operation)

    monkeypatch.setattr(session_folder.fcntl, "flock", flock)
    with pytest.raises(SurroundingsError, match="no private folder") as fault:
        SessionFolder()
    assert fault.value.where == f"{place}: {os.strerror(number)}"
    monkeypatch.setattr(session_folder, "_ELSEWHERE", (str(there),))
    folder = SessionFolder()
    assert folder.path.is_relative_to(there)
    folder.remove()


def test_a_place_without_room_is_passed_over_and_keeps_nothing(place, monkeypatch):
    there = place / "t"
    there.mkdir()
    real = os.write

    def write(descriptor, data):
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).is_relative_to(there):
            return real(descriptor, data)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(session_folder.os, "write", write)
    monkeypatch.setattr(session_folder, "_ELSEWHERE", (str(there),))
    folder = SessionFolder()
    assert folder.path.is_relative_to(there)
    assert [path.name for path in (place / f"dscale-{os.getuid()}").iterdir()] == ["lock"]
    folder.remove()
