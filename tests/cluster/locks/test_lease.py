"""A lease on a root: its heartbeat, foreign and damaged objects, storages that fail or lie."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import fsspec
import pytest

from cluster.errors import SurroundingsError
from cluster.fault_classes import FaultClass
from cluster.locks.held import LockLost, LockUnsure, Occupied
from cluster.locks.holder import Holder
from cluster.locks.lease import LeaseLock
from cluster.locks.lease_protocol import Terms
from cluster.storage import Storage

MINE = Holder.this_process("mine")
THEIRS = Holder(pid=1, host="elsewhere", launch="theirs", since=0.0)
BRISK = Terms(renew_every_s=0.01)


@pytest.fixture(params=["memory", "s3"])
def root(request, tmp_path):
    if request.param == "s3":
        return Storage(f"{request.getfixturevalue('bucket')}/root")
    return Storage(f"memory://{tmp_path.name}")


@pytest.fixture
def memory(tmp_path):
    return Storage(f"memory://{tmp_path.name}")


def make_old(root, name, seconds):
    """Let an object in memory be so old, by the storage's clock."""
    stored = fsspec.filesystem("memory").store[f"/{root.url.removeprefix('memory://')}/{name}"]
    stored.modified = datetime.now(UTC) - timedelta(seconds=seconds)


def wait_until(is_so):
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        threading.Event().wait(0.01)


def test_a_lease_is_held_by_one_renewed_and_released(root):
    lock = LeaseLock(root, "lock", BRISK)
    with lock.hold(MINE) as held:
        assert lock.holder() == MINE
        first = root.read(f"lock/{held.token:08d}")
        wait_until(lambda: root.read(f"lock/{held.token:08d}") != first)
        held.confirm()
        with pytest.raises(Occupied) as fault, LeaseLock(root, "lock").hold(THEIRS):
            pass
        assert fault.value.holder == MINE
    assert lock.holder() is None
    with lock.hold(THEIRS, above=40) as held:
        assert held.token == 41


def test_silence_is_measured_by_the_storages_own_clock(root, monkeypatch):
    """A host whose clock is a day ahead takes no lease from the living."""
    with LeaseLock(root, "lock").hold(THEIRS):
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 86_400)
        with pytest.raises(Occupied), LeaseLock(root, "lock").hold(MINE):
            pass
        assert LeaseLock(root, "lock").holder() == THEIRS


def test_a_storage_that_does_not_tell_its_time_is_watched(memory, monkeypatch):
    monkeypatch.setattr(Storage, "age_s", lambda *_: None)
    paused = []
    monkeypatch.setattr(time, "sleep", paused.append)
    silent = LeaseLock(memory, "lock").hold(THEIRS)
    silent.__enter__()
    with LeaseLock(memory, "lock").hold(MINE) as held:
        held.confirm()
    assert sum(paused) >= Terms().expires_after_s

    def renew(seconds):
        name = memory.list("other")[0]
        memory.write(f"other/{name}", memory.read(f"other/{name}") + b" ")

    with LeaseLock(memory, "other").hold(THEIRS):
        monkeypatch.setattr(time, "sleep", renew)
        with pytest.raises(Occupied), LeaseLock(memory, "other").hold(MINE):
            pass


FOREIGN = (
    "note.txt",
    "1",
    "000000001",
    "00000001.json",
    "٠٠٠٠٠٠٠٩",
    ".DS_Store",
    "folder/00000099",
)


def test_what_is_not_ours_in_its_folder_is_passed_over_and_left(root):
    for name in FOREIGN:
        root.write(f"lock/{name}", b"foreign")
    lock = LeaseLock(root, "lock", BRISK)
    with lock.hold(MINE) as held:
        first = root.read(f"lock/{held.token:08d}")
        wait_until(lambda: root.read(f"lock/{held.token:08d}") != first)
        held.confirm()
    assert lock.holder() is None
    assert all(root.read(f"lock/{name}") == b"foreign" for name in FOREIGN)


WHOLE = {"holder": THEIRS.as_json(), "at": 5, "released": False}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"123",
        b"\xff\xfe",
        b"[" * 100_000,
        b"null",
        *(
            json.dumps(value).encode()
            for value in (
                {},
                {"holder": None},
                {"holder": {"pid": 1}},
                WHOLE | {"released": "no"},
                WHOLE | {"holder": THEIRS.as_json() | {"pid": "x"}},
                WHOLE | {"holder": THEIRS.as_json() | {"pid": -1}},
                WHOLE | {"holder": THEIRS.as_json() | {"pid": 10**30}},
                WHOLE | {"holder": THEIRS.as_json() | {"since": 1e300}},
                WHOLE | {"holder": THEIRS.as_json() | {"since": float("nan")}},
                WHOLE | {"holder": THEIRS.as_json() | {"host": "\x1b[2J"}},
                WHOLE | {"at": "yesterday"},
            )
        ),
    ],
)
def test_a_damaged_object_counts_as_somebody_until_it_is_old(memory, data):
    memory.write("lock/00000004", data)
    lock = LeaseLock(memory, "lock")
    assert lock.holder() is not None
    assert "\x1b" not in str(lock.holder())
    with pytest.raises(Occupied), lock.hold(MINE):
        pass
    make_old(memory, "lock/00000004", 91)
    assert lock.holder() is None
    with lock.hold(MINE) as held:
        assert held.token == 5


def test_a_folder_without_tokens_left_says_what_to_do(memory):
    memory.write("lock/99999999", b"")
    make_old(memory, "lock/99999999", 91)
    with pytest.raises(SurroundingsError, match="no token is left") as fault:
        LeaseLock(memory, "lock").hold(MINE).__enter__()
    assert "delete that object" in fault.value.hint


class Failing(Storage):
    """A root whose listing raises what it is told to."""

    fault: BaseException | None = None

    def list(self, folder):
        if self.fault is not None:
            raise self.fault
        return super().list(folder)


class Strange(Exception):
    """What a library of a storage raises that nobody foresaw."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "fault",
    [SurroundingsError("away"), Strange("new"), ValueError("int"), MemoryError(), SystemExit()],
    ids=lambda fault: type(fault).__name__,
)
def test_whatever_a_heartbeat_meets_its_holder_knows_and_goes_on_when_it_is_over(memory, fault):
    """`SystemExit` ends the thread itself."""
    storage = Failing(memory.url)
    terms = Terms(renew_every_s=0.01, sure_for_s=0.3)
    with LeaseLock(storage, "lock", terms).hold(MINE) as held:
        held.check()
        storage.fault = fault
        with pytest.raises(LockUnsure, match="could not be renewed") as unsure:
            wait_until(lambda: held.check() is not None)
        assert unsure.value.fault_class is FaultClass.STORAGE_AWAY
        storage.fault = None

        def is_sure():
            try:
                held.check()
            except LockUnsure:
                return False
            return True

        wait_until(is_sure)


def test_a_storage_that_answers_late_leaves_its_holder_unsure_not_waiting(memory):
    storage, answers = Failing(memory.url), threading.Event()
    terms = Terms(renew_every_s=0.01, sure_for_s=0.3)
    with LeaseLock(storage, "lock", terms).hold(MINE) as held:
        storage.list = lambda folder: answers.wait(60) and Storage.list(memory, folder)
        with pytest.raises(LockUnsure):
            wait_until(lambda: held.check() is not None)
        answers.set()


def test_one_that_slept_while_nobody_took_its_lease_goes_on_when_it_asks(root):
    with LeaseLock(root, "lock").hold(MINE) as held:
        held._tenure.renewed_at -= 80
        with pytest.raises(LockUnsure):
            held.check()
        held.confirm()
        held.check()


@pytest.mark.parametrize("change", ["taken", "deleted", "folder deleted"])
def test_one_that_was_passed_over_is_told_at_once_where_it_asks_and_soon_where_it_does_not(
    root, change
):
    with LeaseLock(root, "lock").hold(THEIRS) as asking:
        if change == "taken":
            LeaseLock(root, "lock").hold(MINE, insist=True).__enter__()
        else:
            root.remove("lock" if change == "folder deleted" else f"lock/{asking.token:08d}")
        with pytest.raises(LockLost):
            asking.confirm()
        with pytest.raises(LockLost):
            asking.check()
    with LeaseLock(root, "other", BRISK).hold(THEIRS) as waiting:
        root.write("other/00000009", b"taken")
        with pytest.raises(LockLost):
            wait_until(lambda: waiting.check() is not None)
    assert root.read("other/00000009") == b"taken"


def test_a_taker_that_slept_between_looking_and_creating_gives_up(memory):
    """Others take and release the lease meanwhile; its token is free again, and too low."""

    class Sleepy(Storage):
        def create(self, name, data):
            if not others:
                with LeaseLock(memory, "lock").hold(THEIRS):
                    pass
                others.append(LeaseLock(memory, "lock").hold(THEIRS))
                others[0].__enter__()
            return super().create(name, data)

    others = []
    with pytest.raises(Occupied) as fault, LeaseLock(Sleepy(memory.url), "lock").hold(MINE):
        pass
    assert fault.value.holder == THEIRS
    assert memory.list("lock") == ["00000002"]


def test_a_holder_that_wakes_while_its_lease_is_taken_keeps_it(memory):
    class Meanwhile(Storage):
        def create(self, name, data):
            memory.write("lock/00000004", json.dumps(WHOLE | {"at": 6}).encode())
            return super().create(name, data)

    memory.write("lock/00000004", json.dumps(WHOLE).encode())
    make_old(memory, "lock/00000004", 91)
    with pytest.raises(Occupied), LeaseLock(Meanwhile(memory.url), "lock").hold(MINE):
        pass
    assert memory.list("lock") == ["00000004"]
