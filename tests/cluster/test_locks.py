"""The kernel's lock on a file, and the lease of a remote root, with a clock of its own."""

import itertools
import os
import threading

import pytest

from cluster.errors import SurroundingsError
from cluster.locks import Holder, Lease, Occupied, read_holder, try_lock, write_holder
from cluster.storage import Storage

MINE = Holder.this_process("mine")


@pytest.fixture
def descriptors(tmp_path):
    """One file, opened three times, as three processes would."""
    opened = [os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(3)]
    yield opened
    for descriptor in opened:
        os.close(descriptor)


def test_a_file_is_locked_by_one_or_by_all_who_share_it(descriptors):
    one, two, three = descriptors
    assert try_lock(one, shared=True) and try_lock(two, shared=True)
    assert not try_lock(three)


def test_a_locked_file_names_its_holder_to_others(descriptors):
    one, two, _ = descriptors
    assert read_holder(two) is None
    write_holder(one, MINE)
    assert read_holder(two) == MINE
    write_holder(one, None)
    assert read_holder(two) is None


@pytest.fixture
def remote(tmp_path):
    return Storage(f"memory://{tmp_path.name}")


def test_a_lease_is_anybodys_once_its_holder_is_silent_for_too_long(remote):
    now = [1000.0]
    elsewhere = Holder(pid=1, host="elsewhere", launch="theirs", since=0.0)
    lease = Lease(remote, "lock", expires_after_s=90, clock=lambda: now[0])
    holding = lease.hold(elsewhere)
    holding.__enter__()
    now[0] += 90
    with pytest.raises(Occupied) as fault, lease.hold(MINE):
        pass
    assert fault.value.holder == elsewhere
    now[0] += 1
    with lease.hold(MINE):
        assert lease.holder() == MINE
    holding.__exit__(None, None, None)


class Refusing(Storage):
    """A root that refuses the first so many writes."""

    def __init__(self, url, num_refusals):
        super().__init__(url)
        self.num_refusals = num_refusals
        self.written = threading.Event()

    def write(self, name, data):
        if self.num_refusals:
            self.num_refusals -= 1
            raise SurroundingsError("the storage keeps answering SlowDown")
        super().write(name, data)
        self.written.set()


def test_a_heartbeat_that_the_storage_refuses_once_is_given_again(remote):
    refusing = Refusing(remote.url, num_refusals=1)
    lease = Lease(refusing, "lock", heartbeat_s=0.01)
    with lease.hold(MINE):
        assert refusing.written.wait(60)
        assert refusing.num_refusals == 0
        assert lease.holder() == MINE


def test_one_that_cannot_renew_its_lease_in_time_is_interrupted(remote):
    now = itertools.count(start=0, step=10)
    lease = Lease(
        Refusing(remote.url, num_refusals=1000),
        "lock",
        heartbeat_s=0.001,
        expires_after_s=90,
        clock=lambda: float(next(now)),
    )
    with pytest.raises(KeyboardInterrupt), lease.hold(MINE):
        threading.Event().wait(60)


def test_one_that_was_passed_over_is_interrupted(remote):
    lease = Lease(remote, "lock", heartbeat_s=0.01)
    theirs = Lease(remote, "lock").hold(Holder.this_process("theirs"), takeover=True)
    with pytest.raises(KeyboardInterrupt), lease.hold(MINE), theirs:
        threading.Event().wait(60)
