"""An attempt's folder, on a disk, in memory and on an object storage alike."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from cluster.disk.disk_faults import ForeignEntry
from cluster.disk.temp_folders import sweep
from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, FileEntry, Record, digest_bytes
from jobs.worker.attempt_folder import AttemptFolder

KEY = "b" * 64


@pytest.fixture(params=["local", "memory", "s3"])
def artifact(request, tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    urls = {
        "local": lambda: str(tmp_path / "root"),
        "memory": lambda: f"memory://{tmp_path.name}-work",
        "s3": lambda: f"{request.getfixturevalue('bucket')}/root",
    }
    return Artifact(Storage(urls[request.param]()), "probe", KEY)


def entry(data):
    return FileEntry(bytes=len(data), xxh3=digest_bytes(data))


def write_unit(attempt, name, data):
    folder = attempt.path / "units" / name
    folder.mkdir(parents=True)
    (folder / "UNIT.json").write_bytes(b"{}")
    (folder / "shard.bin").write_bytes(data)
    return f"units/{name}"


def commit(attempt):
    record = Record(key=KEY, kind="probe", attempt=attempt.attempt, files=attempt.seal())
    assert attempt.artifact.storage.create(attempt.artifact.record_name, record.to_json())
    attempt.discard_scratch()
    return Artifact(attempt.artifact.storage, "probe", KEY)


def bytes_on_this_machine(attempt):
    return sum(file.stat().st_size for file in attempt.path.rglob("*") if file.is_file())


def test_units_published_for_good_leave_this_machine_and_are_still_listed(artifact):
    attempt = AttemptFolder(artifact, "one")
    written = {}
    for number in range(4):
        data = bytes([number]) * 50_000
        attempt.publish(write_unit(attempt, f"{number}", data), discard=True)
        written[f"units/{number}/shard.bin"] = data
        if not artifact.storage.is_local:
            assert bytes_on_this_machine(attempt) == 0
    (attempt.path / "store.json").write_bytes(b"store")

    done = commit(attempt)

    assert done.find_record() is not None
    assert done.names() == sorted(
        ["store.json", *written, *(f"units/{number}/UNIT.json" for number in range(4))]
    )
    assert {name: done.read(name) for name in written} == written
    assert done.read("store.json") == b"store"


@pytest.mark.parametrize(("number", "counts"), [(errno.EACCES, False), (errno.ESTALE, True)])
def test_an_attempt_that_another_user_keeps_private_is_none_to_go_on_from(
    tmp_path, monkeypatch, number, counts
):
    artifact = Artifact(Storage(tmp_path / "root"), "probe", KEY)
    for name in ("one", "two"):
        AttemptFolder(artifact, name)
    private, scandir = str(tmp_path / "root" / artifact.attempt_folder("one")), os.scandir

    def refuse(place):
        if str(place) == private:
            raise OSError(number, os.strerror(number), place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    assert AttemptFolder(artifact, "three").others() == (["one", "two"] if counts else ["two"])


def test_digests_that_are_known_are_taken_as_given(artifact):
    attempt = AttemptFolder(artifact, "one")
    known = FileEntry(bytes=3, xxh3="0" * 16)
    attempt.publish(write_unit(attempt, "0", b"abc"), discard=True, entries={"shard.bin": known})
    assert attempt.seal() == {"units/0/UNIT.json": entry(b"{}"), "units/0/shard.bin": known}


def test_what_says_that_a_unit_is_whole_goes_up_last(tmp_path, monkeypatch):
    storage = Storage(f"memory://{tmp_path.name}-order")
    order = []
    upload = storage.upload
    monkeypatch.setattr(
        storage, "upload", lambda local, name: (order.append(local.name), upload(local, name))
    )
    attempt = AttemptFolder(Artifact(storage, "probe", KEY), "one")
    attempt.publish(write_unit(attempt, "0", b"abc"))
    assert order == ["shard.bin", "UNIT.json"]
    attempt.discard_scratch()


def test_units_of_another_attempt_are_adopted_without_coming_here(artifact):
    first = AttemptFolder(artifact, "first")
    first.publish(write_unit(first, "0", b"abc"), discard=True)
    first.discard_scratch()
    second = AttemptFolder(artifact, "second")
    assert second.others() == ["first"]
    assert second.read_other("first", "units/0/UNIT.json") == b"{}"
    assert second.read_other("first", "units/1/UNIT.json") is None

    second.adopt("units/0", "first", {"shard.bin": entry(b"abc"), "UNIT.json": entry(b"{}")})

    if not artifact.storage.is_local:
        assert bytes_on_this_machine(second) == 0
    done = commit(second)
    artifact.storage.remove(artifact.attempt_folder("first"))  # as `gc` does
    assert done.read("units/0/shard.bin") == b"abc"
    assert done.find_record() is not None


def test_a_unit_that_is_not_there_as_listed_is_not_adopted(artifact):
    first = AttemptFolder(artifact, "first")
    first.publish(write_unit(first, "0", b"abc"))
    second = AttemptFolder(artifact, "second")
    with pytest.raises(SurroundingsError, match="not what it was"):
        second.adopt("units/0", "first", {"shard.bin": entry(b"abcd")})
    with pytest.raises(SurroundingsError, match="not what it was"):
        second.adopt("units/1", "first", {"shard.bin": entry(b"abc")})
    assert second.seal() == {}
    first.discard_scratch()
    second.discard_scratch()


def test_the_log_of_a_running_attempt_can_be_read_from_a_remote_root(tmp_path):
    artifact = Artifact(Storage(f"memory://{tmp_path.name}-log"), "probe", KEY)
    attempt = AttemptFolder(artifact, "one")
    (attempt.path / "log.txt").write_text("so far\n")
    attempt.show_progress(1.0, "working")
    assert AttemptFolder(artifact, "two").read_other("one", "log.txt") == b"so far\n"
    attempt.discard_scratch()


def test_other_ranks_show_their_logs_and_together_ask_no_more_than_the_first(tmp_path, monkeypatch):
    artifact = Artifact(Storage(f"memory://{tmp_path.name}-logs"), "probe", KEY)
    attempt, uploads, now = AttemptFolder(artifact, "one"), [], [1000.0]
    real = Storage.upload
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(
        Storage, "upload", lambda *asked: (uploads.append(asked[2]), real(*asked))[1]
    )
    for second in range(81):
        now[0] = 1000.0 + second
        (attempt.path / "log-rank-1.txt").write_text("so far\n" * (second + 1))
        attempt.show_log(1, 4)
    assert uploads == [f"{attempt.name}/log-rank-1.txt"] * 5  # every 20 s: each 5 s one of four
    assert AttemptFolder(artifact, "two").read_other("one", "log-rank-1.txt").endswith(b"so far\n")
    attempt.discard_scratch()


def test_what_is_no_finished_file_of_ours_is_not_sealed(artifact, tmp_path):
    attempt = AttemptFolder(artifact, "one")
    (attempt.path / "out.bin").write_bytes(b"ours")
    (attempt.path / ".nfs000000000123abcd00000001").write_bytes(b"deleted while it was open")
    (attempt.path / ".tmp-0123456789abcdef").write_bytes(b"half")
    (tmp_path / "elsewhere").write_bytes(b"theirs")
    (attempt.path / "link.bin").symlink_to(tmp_path / "elsewhere")
    assert list(commit(attempt).record.files) == ["out.bin"]


@pytest.mark.parametrize("artifact", ["local"], indirect=True)
def test_names_survive_a_loss_of_power_before_what_says_that_they_are_there(artifact, monkeypatch):
    attempt = AttemptFolder(artifact, "one")
    unit = attempt.path / write_unit(attempt, "0", b"abc")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    attempt.publish("units/0")
    chain = [unit / "shard.bin", unit, unit / "UNIT.json", unit]
    inodes = [path.stat().st_ino for path in chain]
    assert [inode for inode in synced if inode in inodes] == inodes
    job = artifact.storage.path(artifact.folder)
    assert {job.stat().st_ino, (job / "attempts").stat().st_ino} <= set(synced)


@pytest.mark.parametrize("artifact", ["local"], indirect=True)
def test_all_that_a_record_lists_is_on_disk_before_it_and_folders_are_synced_once(
    artifact, monkeypatch
):
    attempt, synced = AttemptFolder(artifact, "one"), []
    for name in ("a.bin", "deep/b.bin", "deep/c.bin"):
        (attempt.path / name).parent.mkdir(exist_ok=True)
        (attempt.path / name).write_bytes(name.encode())
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    entries = attempt.seal()
    assert sorted(entries) == ["a.bin", "deep/b.bin", "deep/c.bin"]
    folders = [attempt.path / "deep", attempt.path, attempt.path.parent]
    expected = [*(attempt.path / name for name in sorted(entries)), *folders]
    assert synced == [path.stat().st_ino for path in expected]
    # The name of the record, and that of `attempts` beside it, come with the next one.
    artifact.storage.create(artifact.record_name, b"{}")
    assert synced[-1] == artifact.storage.path(artifact.folder).stat().st_ino


@pytest.mark.parametrize("artifact", ["local"], indirect=True)
def test_a_record_whose_name_alone_survived_a_loss_of_power_is_none(artifact):
    attempt = AttemptFolder(artifact, "one")
    (attempt.path / "out.bin").write_bytes(b"ours")
    assert commit(attempt).find_record() is not None
    shutil.rmtree(attempt.path.parent)
    assert artifact.find_record() is None


@pytest.mark.parametrize("artifact", ["local"], indirect=True)
def test_an_attempt_writes_through_no_link(artifact, tmp_path):
    place = tmp_path / "root" / artifact.folder
    place.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (place / "attempts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ForeignEntry, match="attempts is a link"):
        AttemptFolder(artifact, "one")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_killed_attempt_on_a_remote_root_leaves_nothing_on_this_machine(tmp_path):
    code = (
        "import os, signal\n"
        "from cluster.storage import Storage\n"
        "from jobs.artifacts.artifact import Artifact\n"
        "from jobs.worker.attempt_folder import AttemptFolder\n"
        "attempt = AttemptFolder(Artifact(Storage('memory://r'), 'probe', 'b' * 64), 'one')\n"
        "(attempt.path / 'model').write_bytes(b'large')\n"
        "print(attempt.path, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "temp").mkdir()
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path / "temp"),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    killed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    left = Path(killed.stdout.strip())
    assert (left / "model").exists()
    sweep(left.parent)
    assert list((tmp_path / "temp").iterdir()) == []
