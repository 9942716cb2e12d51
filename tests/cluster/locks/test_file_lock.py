"""The kernel's lock on a file: names that move, holders that stop, file systems that fail."""

import errno
import fcntl
import json
import os
import time

import pytest

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.locks.file_lock import FileLock, NoLocks
from cluster.locks.held import LockLost, LockUnsure, Occupied
from cluster.locks.holder import UNKNOWN, Holder

MINE = Holder.this_process("mine")


@pytest.fixture
def lock(tmp_path):
    return FileLock(tmp_path / "folder" / "lock")


def test_it_is_held_by_one_or_by_all_who_share_it(lock):
    with lock.hold(shared=True), lock.hold(shared=True), pytest.raises(Occupied), lock.hold():
        pass
    with lock.hold(), pytest.raises(Occupied), lock.hold(shared=True):
        pass


def test_it_names_its_holder_and_each_holding_has_a_higher_token(lock):
    assert lock.holder() is None
    with lock.hold(MINE) as first:
        assert lock.holder() == MINE
    assert lock.holder() is None
    with lock.hold(MINE) as second:
        assert second.token == first.token + 1
    with lock.hold(MINE, above=40) as third:
        assert third.token == 41


def test_a_lock_is_kept_from_others_without_being_taken(lock):
    with lock.kept(silent_for_s=60) as is_free:
        assert is_free and not lock.path.exists()
    with lock.hold(shared=True), lock.kept(silent_for_s=60) as is_free:
        assert not is_free
    with lock.kept(silent_for_s=60) as is_free:
        assert is_free
        with pytest.raises(Occupied), lock.hold(MINE):
            pass


def test_a_lock_that_is_replaced_while_it_is_kept_is_not_free(lock, monkeypatch):
    with lock.hold():
        pass
    flock = fcntl.flock

    def replace(descriptor, operation):
        lock.path.unlink()
        lock.path.touch()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace)
    with lock.kept(silent_for_s=60) as is_free:
        assert not is_free


def test_what_earlier_versions_wrote_is_read(lock):
    lock.path.parent.mkdir()
    lock.path.write_text('{"pid": 7, "host": "node", "launch": "theirs", "since": 12.5}')
    with lock.hold():
        assert lock.holder() == Holder(pid=7, host="node", launch="theirs", since=12.5)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: path.rename(path.with_name("aside")),
        lambda path: (path.unlink(), path.write_text("another")),
        lambda path: (path.unlink(), path.parent.rmdir()),
    ],
    ids=["deleted", "renamed", "replaced", "folder-deleted"],
)
def test_a_holder_whose_file_lost_its_name_writes_nothing_more(lock, change):
    with lock.hold(MINE) as held:
        held.check()
        change(lock.path)
        for ask in (held.check, held.confirm):
            with pytest.raises(LockLost, match="deleted or replaced"):
                ask()
        with lock.hold(MINE) as new:
            new.check()


def test_a_file_that_is_replaced_while_it_is_locked_is_locked_again(lock, monkeypatch):
    flock, replaced = fcntl.flock, []

    def replace_first(descriptor, operation):
        if not replaced:
            replaced.append(lock.path.read_bytes())
            lock.path.unlink()
            lock.path.touch()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", replace_first)
    with lock.hold(MINE) as held:
        held.check()
        assert lock.holder() == MINE


@pytest.mark.parametrize(
    "text", [b"", b"123", b"{", b"[" * 4000, b'{"pid": "x"}', b"\xff\xfe", b"null"]
)
def test_a_damaged_text_hides_the_name_of_the_holder_but_not_that_there_is_one(lock, text):
    with lock.hold():
        lock.path.write_bytes(text)
        assert lock.holder() == UNKNOWN
        with pytest.raises(Occupied), lock.hold(MINE):
            pass
    with lock.hold(MINE) as held:
        held.check()


def test_a_holder_shows_life_and_whoever_looks_is_told_since_when_it_does_not(lock):
    with lock.hold(MINE):
        long_ago = time.time() - 300
        os.utime(lock.path, (long_ago, long_ago))
        seen = lock.holder()
        assert seen == MINE and seen.silent_s >= 300
        assert "no sign of life since" in str(seen)
        with pytest.raises(Occupied) as fault, lock.hold():
            pass
        assert fault.value.silent_s >= 300


@pytest.mark.parametrize("faults", [1, 3])
def test_a_sign_of_life_that_fails_is_given_again(lock, monkeypatch, faults):
    import threading

    utime, given, left = os.utime, threading.Event(), [faults + 1]  # the first is the holder's own

    def refuse_some(descriptor, *times):
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(errno.EIO, "Input/output error")
        utime(descriptor, *times)
        given.set()

    monkeypatch.setattr(os, "utime", refuse_some)
    with FileLock(lock.path, show_life_every_s=0.01).hold(MINE):
        assert given.wait(60)


def test_silence_is_measured_by_the_clock_of_the_file_system(lock, monkeypatch):
    """A host whose clock is an hour ahead finds a live holder alive."""
    real = time.time
    with lock.hold(MINE):
        monkeypatch.setattr(time, "time", lambda: real() + 3600)
        with pytest.raises(Occupied) as fault, lock.hold():
            pass
    assert fault.value.silent_s < 60


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_told_apart(lock, monkeypatch, number):
    def refuse(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(NoLocks, match="has no locks"), lock.hold(MINE):
        pass
    assert lock.holder() is None  # the file is there now, and nobody's
    lock.path.write_text(json.dumps(MINE.as_json()))
    assert lock.holder() == MINE


@pytest.mark.parametrize(
    ("number", "fault_class"),
    [
        (errno.EROFS, FaultClass.STORAGE_READ_ONLY),
        (errno.ENOSPC, FaultClass.STORAGE_FULL),
        (errno.ESTALE, FaultClass.STORAGE_AWAY),
        (errno.EIO, FaultClass.STORAGE_AWAY),
        (errno.EACCES, FaultClass.PERMISSION),
    ],
)
@pytest.mark.parametrize("call", ["open", "flock", "mkdir"])
def test_a_file_system_that_fails_says_whose_fault_it_is(
    lock, monkeypatch, call, number, fault_class
):
    def refuse(*args, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(
        *{"open": (os, "open"), "flock": (fcntl, "flock"), "mkdir": (os, "mkdir")}[call], refuse
    )
    if call == "flock" and number == errno.EACCES:
        pytest.skip("to flock, this is a lock that somebody else holds")
    with pytest.raises(SurroundingsError) as fault, lock.hold(MINE):
        pass
    assert fault.value.fault_class is fault_class
    assert fault.value.where == str(lock.path)


def test_a_lock_whose_file_is_closed_with_a_fault_is_let_go_all_the_same(lock, monkeypatch):
    close = os.close

    def close_and_fail(descriptor):
        close(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    with lock.hold(MINE):
        monkeypatch.setattr(os, "close", close_and_fail)
    monkeypatch.undo()
    assert lock.holder() is None


def test_a_holder_that_cannot_look_at_its_lock_is_unsure(lock, monkeypatch):
    def refuse(path):
        raise OSError(errno.ESTALE, "Stale file handle")

    with lock.hold(MINE) as held:
        monkeypatch.setattr(os, "lstat", refuse)
        with pytest.raises(LockUnsure, match="Stale") as fault:
            held.check()
        assert fault.value.fault_class is FaultClass.STORAGE_AWAY


@pytest.mark.parametrize(
    "plant",
    [
        lambda path: path.mkdir(),
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to(path.with_name("target")),
    ],
    ids=["folder", "fifo", "link"],
)
def test_what_is_no_file_is_never_locked_or_followed(lock, plant):
    lock.path.parent.mkdir()
    plant(lock.path)
    for look in (lock.holder, lock.hold(MINE).__enter__):
        with pytest.raises(SurroundingsError):
            look()
    assert not lock.path.with_name("target").exists()


def test_a_child_that_outlives_its_parent_does_not_hold_the_lock_on(lock, tmp_path):
    """Loaders of data fork: the kernel's lock lives as long as any copy of the open file."""
    ready, done = os.pipe()
    with lock.hold(MINE):
        child = os.fork()
        if child == 0:
            os.close(done)
            os.read(ready, 1)  # until the parent has looked
            os._exit(0)
    try:
        with lock.hold(MINE):
            pass
    finally:
        os.close(done)
        os.close(ready)
        os.waitpid(child, 0)
