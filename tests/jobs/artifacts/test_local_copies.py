"""Files of a remote root on this machine: checked, shared, never half there."""

import tempfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record, standing_digest
from jobs.artifacts.local_copies import place_of_copy
from jobs.worker.work import AttemptFolder

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
