"""Files of a remote root on this machine: checked, shared, never half there."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.storage import Storage
from jobs.artifacts import local_copies
from jobs.artifacts.artifact import Artifact, FileEntry, Record, digest_bytes, standing_digest
from jobs.artifacts.local_copies import place_of_copy
from jobs.worker.attempt_folder import AttemptFolder

KEY = "c" * 64
DATA = bytes(range(256)) * 4096


@pytest.fixture
def done(bucket, tmp_path, monkeypatch):
    """A function: the finished artifact as a new job opens it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    storage = Storage(f"{bucket}/root")
    artifact = Artifact(storage, "probe", KEY)
    attempt = AttemptFolder(artifact, "one")
    (attempt.path / "model").mkdir()
    for name in ("model/weights.bin", "model/config.json"):
        (attempt.path / name).write_bytes(DATA)
    record = Record(key=KEY, kind="probe", attempt="one", files=attempt.seal())
    storage.create(artifact.record_name, record.to_json())
    attempt.discard_scratch()
    return lambda: Artifact(storage, "probe", KEY)


def stored(artifact):
    return f"{artifact.attempt_folder('one')}/model/weights.bin"


def test_a_folder_comes_here_whole(done):
    folder = done().directory("model")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "weights.bin": DATA,
        "config.json": DATA,
    }


def test_jobs_that_ask_at_the_same_time_get_one_whole_copy(done):
    with ThreadPoolExecutor(8) as jobs:
        paths = list(jobs.map(lambda _: done().path("model/weights.bin"), range(8)))
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == DATA
    assert [file.name for file in paths[0].parent.iterdir()] == ["weights.bin"]


def test_a_copy_with_a_flipped_bit_is_made_anew(done):
    path = done().path("model/weights.bin")
    path.write_bytes(b"x" + DATA[1:])
    assert done().path("model/weights.bin").read_bytes() == DATA


def test_a_damaged_file_of_the_root_gives_no_copy(done):
    artifact = done()
    artifact.storage.write(stored(artifact), b"x" + DATA[1:])
    with pytest.raises(SurroundingsError, match="weights.bin is damaged"):
        done().path("model/weights.bin")
    place = place_of_copy(artifact.storage, stored(artifact))
    assert list(place.parent.iterdir()) == []


def test_a_good_copy_does_not_hide_that_the_root_is_damaged(done):
    artifact = done()
    artifact.path("model/weights.bin")
    whole = artifact.record.files["model/weights.bin"].xxh3
    assert standing_digest(artifact.storage, stored(artifact)) == whole
    artifact.storage.write(stored(artifact), b"x" + DATA[1:])
    assert standing_digest(artifact.storage, stored(artifact)) not in (whole, None)
    artifact.storage.remove(stored(artifact))
    assert standing_digest(artifact.storage, stored(artifact)) is None


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A root in memory with finished artifacts of 4 kB, and no copies yet."""
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setattr(local_copies, "_count", local_copies._Count())
    storage = Storage(f"memory://{tmp_path.name}-copies")
    for number in range(6):
        key = f"{number}" * 64
        data = bytes([number]) * 4096
        storage.write(f"artifacts/probe/{key[:16]}/attempts/one/out", data)
        entry = FileEntry(bytes=4096, xxh3=digest_bytes(data))
        record = Record(key=key, kind="probe", attempt="one", files={"out": entry})
        storage.write(f"artifacts/probe/{key[:16]}/record.json", record.to_json())
    return lambda number: Artifact(storage, "probe", f"{number}" * 64)


def copied(remote):
    places = [
        place_of_copy(remote(number).storage, f"{remote(number).attempt_folder('one')}/out")
        for number in range(6)
    ]
    return [number for number, place in enumerate(places) if place.exists()]


def test_copies_are_private(remote):
    path = remote(0).path("out")
    base = path.parents[6]
    assert base.name == "copies" and base.stat().st_mode & 0o777 == 0o700


def test_copies_used_longest_ago_make_room_for_others(remote, monkeypatch):
    monkeypatch.setenv("DELTASCALE_COPIES_GB", "13e-6")
    for number in range(3):
        unit = remote(number).path("out").parent
        os.utime(unit, (number, number))
    assert copied(remote) == [0, 1, 2]
    assert remote(0).read("out") == bytes(4096)  # used again, so 1 is the oldest now
    remote(3).path("out")
    assert copied(remote) == [0, 2, 3]
    remote(4).path("out")
    assert copied(remote) == [0, 3, 4]


def test_copies_that_a_job_has_open_stay_whatever_the_limit(remote, monkeypatch):
    monkeypatch.setenv("DELTASCALE_COPIES_GB", "0")
    opened = [remote(number) for number in range(3)]
    for artifact in opened:
        artifact.path("out")
    assert copied(remote) == [0, 1, 2]
    remote(3).path("out")
    assert copied(remote) == [0, 1, 2, 3]
    del opened, artifact
    remote(4).path("out")
    assert copied(remote) == [4]


@pytest.mark.parametrize("limit", ["much", "nan", "-1", "inf"])
def test_a_limit_that_is_no_number_is_told(remote, monkeypatch, limit):
    monkeypatch.setenv("DELTASCALE_COPIES_GB", limit)
    with pytest.raises(UserError, match="DELTASCALE_COPIES_GB is"):
        remote(0).path("out")


def test_a_copy_that_was_deleted_since_is_made_again(remote):
    artifact = remote(0)
    artifact.path("out").unlink()
    assert artifact.read("out") == bytes(4096)
