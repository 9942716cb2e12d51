import errno
import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import fsspec
import pytest

from cluster.errors import SurroundingsError
from cluster.locks.holder import Holder
from cluster.storage import Storage
from orchestrator.records.lock import current_holder, lock_name, study_lock

HOLDS = """
import sys
from cluster.storage import Storage
from orchestrator.records.lock import study_lock
with study_lock(Storage(sys.argv[1]), "study", "their-launch"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["local", "memory", "s3"])
def root(request, tmp_path):
    if request.param == "s3":
        return Storage(f"{request.getfixturevalue('bucket')}/root")
    return Storage(tmp_path if request.param == "local" else f"memory://{tmp_path.name}")


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of `study` under a local root."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_launch_is_told_who_holds_the_lock(root):
    with (
        study_lock(root, "study", "first-launch"),
        pytest.raises(SurroundingsError) as fault,
        study_lock(root, "study", "second-launch"),
    ):
        pass
    assert fault.value.exit_code == 3
    for part in ("first-launch", str(os.getpid()), platform.node(), "'study'"):
        assert part in str(fault.value)


def test_the_lock_is_free_again_after_its_holder_is_done(root):
    with study_lock(root, "study", "first"):
        assert current_holder(root, "study").launch == "first"
    assert current_holder(root, "study") is None
    with study_lock(root, "study", "second"):
        assert current_holder(root, "study").launch == "second"


def test_two_studies_of_one_root_do_not_lock_each_other_out(root):
    with study_lock(root, "one", "first"), study_lock(root, "other", "second"):
        assert current_holder(root, "one").launch == "first"


def test_a_lock_held_by_another_live_process_is_refused(other, tmp_path):
    root = Storage(tmp_path)
    with (
        pytest.raises(SurroundingsError, match="their-launch"),
        study_lock(root, "study", "mine"),
    ):
        pass
    assert current_holder(root, "study").pid == other.pid


def test_a_holder_that_was_stopped_is_told_of_with_the_time_since_when(other, tmp_path):
    other.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, other.pid, os.WSTOPPED | os.WNOWAIT)
    named = str(current_holder(Storage(tmp_path), "study"))
    assert "no sign of life since" in named and f"kill -CONT {other.pid}" in named
    other.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, other.pid, os.WCONTINUED | os.WNOWAIT)
    assert "no sign of life" not in str(current_holder(Storage(tmp_path), "study"))


def test_the_lock_of_a_process_that_was_killed_is_taken_without_a_word(other, tmp_path):
    root = Storage(tmp_path)
    other.kill()
    other.wait()
    assert current_holder(root, "study") is None
    with study_lock(root, "study", "mine"):
        assert current_holder(root, "study").launch == "mine"


def test_a_file_system_without_locks_is_told_as_such(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(SurroundingsError, match="has no locks"),
        study_lock(Storage(tmp_path), "study", "mine"),
    ):
        pass


def test_a_lock_that_may_not_be_opened_is_told_as_such(tmp_path, monkeypatch):
    def refuse(path, flags, mode=0):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SurroundingsError, match="may not be opened"):
        current_holder(Storage(tmp_path), "study")


@pytest.fixture
def remote(tmp_path):
    return Storage(f"memory://{tmp_path.name}")


def leave_lease(root, *, silent_s=0.0, **changes):
    """A lease as another launch left it, so many seconds ago by the storage's clock."""
    holder = {"pid": 1, "host": "elsewhere", "launch": "theirs", "since": 0.0} | changes
    lease = {"holder": holder, "at": time.time(), "released": False}
    name = f"{lock_name('study')}/00000004"
    root.write(name, json.dumps(lease).encode())
    stored = fsspec.filesystem("memory").store[f"/{root.url.removeprefix('memory://')}/{name}"]
    stored.modified = datetime.now(UTC) - timedelta(seconds=silent_s)


def test_a_live_lease_is_refused_and_given_only_to_one_who_insists(remote):
    leave_lease(remote)
    with (
        pytest.raises(SurroundingsError, match="--takeover"),
        study_lock(remote, "study", "mine"),
    ):
        pass
    with study_lock(remote, "study", "mine", takeover=True):
        assert current_holder(remote, "study").launch == "mine"
        # Its token is higher, so that the one passed over can see it.
        assert remote.list(lock_name("study")) == ["00000005"]


def test_a_lease_without_a_heartbeat_is_taken_without_a_word(remote):
    leave_lease(remote, silent_s=91)
    with study_lock(remote, "study", "mine"):
        assert current_holder(remote, "study").launch == "mine"


def test_the_lease_of_a_dead_process_of_this_machine_is_taken_without_a_word(remote):
    program = "from cluster.locks.holder import Holder; import json; "
    program += "print(json.dumps(Holder.this_process('theirs').as_json()))"
    gone = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    leave_lease(remote, **json.loads(gone.stdout))
    with study_lock(remote, "study", "mine"):
        assert current_holder(remote, "study").launch == "mine"


@pytest.mark.parametrize("where", [{}, {"boot_id": "other"}, {"pid_namespace": "pid:[1]"}])
def test_a_host_of_the_same_name_without_that_process_may_be_another_one(remote, where):
    """Containers and images of a cloud share a host name; process ids are each one's own."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = Holder.this_process("").as_json() if where else {}
    leave_lease(remote, **mine | {"pid": gone.pid, "host": platform.node()} | where)
    with pytest.raises(SurroundingsError, match="is running"), study_lock(remote, "study", "mine"):
        pass


def test_a_process_id_that_was_given_again_is_not_the_holder(remote):
    mine = Holder.this_process("theirs").as_json()
    leave_lease(remote, **mine | {"started": mine["started"] - 1})
    assert current_holder(remote, "study") is None
    leave_lease(remote, **mine)
    assert current_holder(remote, "study").launch == "theirs"


def test_one_that_lost_its_lease_does_not_mark_the_new_holders_as_released(remote):
    with study_lock(remote, "study", "mine"):
        leave = f"{lock_name('study')}/00000009"
        holder = {"pid": 1, "host": "elsewhere", "launch": "theirs", "since": 0.0}
        said = {"holder": holder, "at": time.time(), "released": False}
        remote.write(leave, json.dumps(said).encode())
    assert current_holder(remote, "study").launch == "theirs"
