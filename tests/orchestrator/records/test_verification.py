"""Every way in which a finished artifact may be damaged, found and repaired by the verb."""

import errno
import json
import os
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import replace

import pytest

from cluster.disk.below_root import BelowRoot
from cluster.errors import SurroundingsError
from cluster.executors.local import Executor
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.claim import claimed
from orchestrator.dispatch.watcher import Watcher
from orchestrator.launch import launch
from orchestrator.plan.decided_plan import decide_plan
from orchestrator.records.verification import FileFault, find_damage, take_away
from orchestrator.study.study import load_study
from orchestrator.verbs import verify
from tests.launching import launch_locally

STUDY = """\
study: s
axes: {index: [0, 1, 2]}
stages:
  one: {kind: probe, over: [index], params: {index: "${index}"}}
"""


class Launched:
    def __init__(self, tmp_path):
        self.root = Storage(tmp_path / "root")
        self.study = tmp_path / "study.yaml"
        self.study.write_text(STUDY)
        launch(
            self.root,
            load_study(self.study),
            executor=Executor(),
            executor_name="local",
            progress=nobody,
        )
        self.jobs = list(decide_plan(self.root, load_study(self.study)).plan.by_key.values())
        self.artifacts = [Artifact(self.root, job.kind, job.key) for job in self.jobs]

    def file(self, at):
        artifact = self.artifacts[at]
        return self.root.path(f"{artifact.attempt_folder(artifact.record.attempt)}/probe.txt")

    def damages(self):
        return [damage for _, found in find_damage(self.root, self.jobs) for damage in found]

    def verify(self, **options):
        asked = {
            "root": self.root.url,
            "study": str(self.study),
            "json": False,
            "repair": False,
            "executor": "local",
            "address": None,
            "cpus": None,
            "only": [],
            "takeover": False,
        }
        return verify.run(Namespace(**{**asked, **options}))


def nobody():
    from contextlib import nullcontext

    return nullcontext(Watcher())


@pytest.fixture
def launched(tmp_path):
    return Launched(tmp_path)


def flip(path):
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def remove(path):
    path.unlink()


def put_beside(path):
    (path.parent / "notes").mkdir()
    (path.parent / "notes" / "foreign.txt").write_text("not ours")


def spoil_record(path):
    record = path.parent.parent.parent / "record.json"
    record.write_bytes(record.read_bytes()[:40])


def swap_record(path):
    record = path.parent.parent.parent / "record.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "key": "0" * 64}))


DAMAGES = [
    (flip, FileFault.BYTES, "probe.txt"),
    (cut, FileFault.SIZE, "probe.txt"),
    (remove, FileFault.MISSING, "probe.txt"),
    (put_beside, FileFault.FOREIGN, "notes/foreign.txt"),
    (spoil_record, FileFault.UNREADABLE, "record.json"),
    (swap_record, FileFault.UNREADABLE, "record.json"),
]


@pytest.mark.parametrize(("harm", "fault", "name"), DAMAGES)
def test_a_damage_is_found_named_and_repaired(launched, capsys, harm, fault, name):
    before = [artifact.record.content_digest for artifact in launched.artifacts]
    harm(launched.file(1))

    (damage,) = launched.damages()
    assert (damage.fault, damage.job.key) == (fault, launched.jobs[1].key)
    assert damage.name.endswith(f"/{name}")
    assert launched.verify() == 1
    assert damage.name in capsys.readouterr().out

    assert launched.verify(repair=True) == 0
    assert launched.damages() == []
    assert launched.verify() == 0
    again = [Artifact(launched.root, job.kind, job.key) for job in launched.jobs]
    assert [artifact.record.content_digest for artifact in again] == before
    attempts = [len(artifact.attempts()) for artifact in again]
    assert attempts == [1, 1 if fault is FileFault.FOREIGN else 2, 1]


@pytest.fixture
def lose(monkeypatch):
    """A function: path -> a disk gives an error in place of the bytes of that very file."""
    open_file, lost = BelowRoot.open_file, set()

    def open_unless_lost(self, name):
        descriptor = open_file(self, name)
        if os.fstat(descriptor).st_ino in lost:
            os.close(descriptor)
            raise OSError(errno.EIO, "Input/output error")
        return descriptor

    monkeypatch.setattr(BelowRoot, "open_file", open_unless_lost)
    with ExitStack() as held:  # so that no file that is made later has its number

        def lose(path):
            lost.add(os.fstat(held.enter_context(path.open("rb")).fileno()).st_ino)

        yield lose


def test_what_a_disk_has_lost_is_named_with_all_other_damage_and_repaired(launched, lose, capsys):
    before = [artifact.record.content_digest for artifact in launched.artifacts]
    lose(launched.file(0))
    lose(launched.file(1).parent.parent.parent / "record.json")
    cut(launched.file(2))

    faults = [damage.fault for damage in launched.damages()]
    assert faults == [FileFault.LOST, FileFault.UNREADABLE, FileFault.SIZE]
    assert launched.verify() == 1
    assert "the disk gives an error in place of its bytes" in capsys.readouterr().out

    assert launched.verify(repair=True) == 0
    assert launched.verify() == 0
    again = [Artifact(launched.root, job.kind, job.key) for job in launched.jobs]
    assert [artifact.record.content_digest for artifact in again] == before


def test_a_storage_that_is_away_is_no_damage(launched, monkeypatch):
    def refuse(self, name):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(BelowRoot, "open_file", refuse)
    with pytest.raises(SurroundingsError, match="Stale file handle"):
        launched.damages()


def test_every_damage_is_told_not_only_the_first(launched, capsys):
    flip(launched.file(0))
    put_beside(launched.file(0))
    cut(launched.file(2))

    assert launched.verify(json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["checked"] == 3
    keys = [job.key for job in launched.jobs]
    assert sorted((each["key"], each["fault"]) for each in told["damaged"]) == sorted(
        [(keys[0], "bytes"), (keys[0], "foreign"), (keys[2], "size")]
    )


def test_a_log_and_checkpoints_are_not_foreign_and_jobs_never_run_are_no_damage(launched):
    folder = launched.file(0).parent
    (folder / "log.txt").write_text("said")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "state").write_text("kept")
    launched.root.remove(launched.artifacts[1].folder)
    assert launched.damages() == []
    assert launched.verify() == 0


def test_verifying_alone_changes_nothing(launched):
    flip(launched.file(0))
    put_beside(launched.file(0))
    before = {path: path.stat().st_mtime_ns for path in launched.root.path("artifacts").rglob("*")}
    launched.verify()
    after = {path: path.stat().st_mtime_ns for path in launched.root.path("artifacts").rglob("*")}
    assert after == before


def test_a_remote_root_is_read_where_it_is_and_never_from_a_copy(make_remote):
    root, job, name = make_remote
    assert [found for _, found in find_damage(root, [job])] == [[]]
    data = bytearray(root.read(name))
    data[0] ^= 1
    root.write(name, bytes(data))
    ((_, (damage,)),) = find_damage(root, [job])
    assert (damage.name, damage.fault) == (name, FileFault.BYTES)


@pytest.fixture
def make_remote(tmp_path):
    """A root in memory with one finished probe whose file was read before."""
    root = Storage(f"memory://{tmp_path.name}")
    job = launch_locally(root, tmp_path / "study.yaml", STUDY).jobs[0]
    artifact = Artifact(root, job.kind, job.key)
    artifact.path("probe.txt")
    return root, job, f"{artifact.attempt_folder(artifact.record.attempt)}/probe.txt"


def test_a_foreign_file_is_moved_and_its_bytes_are_kept(launched, capsys):
    put_beside(launched.file(0))
    (launched.file(0).parent / "link").symlink_to("/no/where")
    assert launched.verify(repair=True) == 0
    folder = launched.root.path("aside")
    (moved,) = folder.rglob("foreign.txt")
    assert moved.read_text() == "not ours"
    (link,) = (path for path in folder.rglob("*") if path.name == "link")
    assert link.readlink().as_posix() == "/no/where"
    assert "2 foreign files moved to aside/" in capsys.readouterr().err


def test_a_job_that_an_attempt_is_at_is_left_alone(launched, capsys):
    flip(launched.file(1))
    flip(launched.file(2))
    before = launched.file(1).read_bytes()
    with claimed(launched.artifacts[1]):
        assert launched.verify(repair=True) == 1
    assert "one[index=1] was left alone" in capsys.readouterr().err
    assert launched.file(1).read_bytes() == before
    assert [damage.job.key for damage in launched.damages()] == [launched.jobs[1].key]
    assert launched.verify(repair=True) == 0
    assert launched.damages() == []


def test_what_another_launch_did_since_the_damage_was_found_stays(launched):
    """Retired, replaced by another attempt, or whole again: nothing of it is damaged any more."""
    jobs, root = launched.jobs, launched.root
    for at in range(3):
        flip(launched.file(at))
    root.remove(launched.artifacts[0].record_name)
    other = launched.artifacts[1].attempt_folder("other")
    root.write(f"{other}/probe.txt", b"1\n")
    record = replace(launched.artifacts[1].record, attempt="other")
    root.write(launched.artifacts[1].record_name, record.to_json())
    flip(launched.file(2))
    taken = take_away(root, jobs, aside="aside/x")
    assert (taken.jobs, taken.aside, taken.busy) == ([], [], [])
    assert root.size(f"{other}/probe.txt") == 2


def test_files_of_a_younger_attempt_stay_unless_they_are_the_damaged_file(launched):
    artifact, root = launched.artifacts[0], launched.root
    inside = "probe.txt"
    won = artifact.record.attempt
    earlier, younger, linked = f"0{won}", f"{won}-a", f"{won}-b"
    flip(launched.file(0))
    root.write(f"{artifact.attempt_folder(earlier)}/{inside}", b"half")
    root.write(f"{artifact.attempt_folder(younger)}/{inside}", b"half")
    root.copy(
        f"{artifact.attempt_folder(won)}/{inside}", f"{artifact.attempt_folder(linked)}/{inside}"
    )
    taken = take_away(root, launched.jobs, aside="aside/x")
    assert [job.key for job in taken.jobs] == [artifact.key]
    there = [
        at for at in (earlier, won, younger, linked) if root.sizes(artifact.attempt_folder(at))
    ]
    assert set(there) - {won} == {younger}
    assert root.size(f"{artifact.attempt_folder(won)}/{inside}") is None
    assert not artifact.record_bytes()


def test_a_link_in_place_of_an_attempt_is_damage_and_is_not_followed(launched, tmp_path):
    folder = launched.file(0).parent
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    before = sorted(path.name for path in (tmp_path / "elsewhere").iterdir())
    assert [(damage.fault, damage.job.key) for damage in launched.damages()] == [
        (FileFault.MISSING, launched.jobs[0].key)
    ]
    assert launched.verify(repair=True) == 0
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == before
