import tempfile

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.worker.attempt_folder import AttemptFolder

KEY = "a" * 64


def publish(root, attempt, text):
    artifact = Artifact(root, "probe", KEY)
    folder = AttemptFolder(artifact, attempt)
    (folder.path / "out.txt").write_text(text)
    record = Record(key=KEY, kind="probe", attempt=attempt, files=folder.seal())
    assert root.create(artifact.record_name, record.to_json())
    folder.discard_scratch()
    return artifact


def test_a_record_published_after_another_was_seen_is_not_retired(tmp_path):
    root = Storage(tmp_path)
    artifact = publish(root, "first", "one")
    seen = artifact.record_bytes()
    artifact.retire(seen)
    assert artifact.find_record() is None
    publish(root, "second", "two")

    artifact.retire(seen)

    assert artifact.find_record() is not None


def test_a_remote_file_is_copied_here_under_its_name_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    artifact = publish(Storage(f"memory://{tmp_path.name}"), "first", "one")

    path = artifact.path("out.txt")

    assert path.read_text() == "one"
    assert [file.name for file in path.parent.iterdir()] == ["out.txt"]


def test_copies_of_earlier_attempts_go_with_the_attempt_that_made_them(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    artifact = Artifact(Storage(f"memory://{tmp_path.name}"), "probe", KEY)
    earlier = AttemptFolder(artifact, "first")
    (earlier.path / "units").mkdir()
    (earlier.path / "units" / "0.bin").write_bytes(b"unit")
    earlier.publish("units")
    earlier.discard_scratch()
    later = AttemptFolder(artifact, "second")

    (copy,) = later.earlier("units")

    assert (copy / "0.bin").read_bytes() == b"unit"
    assert later.seal() == {}
    later.discard_scratch()
    assert list(tmp_path.iterdir()) == []
