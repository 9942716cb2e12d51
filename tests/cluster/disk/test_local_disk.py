"""A root on a disk: no link below it is followed, every fault of the disk is one sentence, and a
name is given once on file systems of every kind."""

import errno
import json
import os
import threading
from pathlib import Path

import pytest

import cluster.disk.exclusive_name
from cluster.disk.disk_faults import ForeignEntry
from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from cluster.survey import Survey


@pytest.fixture
def root(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "theirs").write_text("theirs")
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")  # the root itself may be a link
    return Storage(tmp_path / "root")


def link(root, name):
    """Put a link to what is not ours under a name of the root."""
    place = Path(root.url) / name
    elsewhere = Path(root.url).parent / "elsewhere"
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(elsewhere)
    return elsewhere


DEEDS = [
    lambda root: root.read("a/linked/theirs"),
    lambda root: list(root.pieces("a/linked/theirs")),
    lambda root: root.write("a/linked/theirs", b"ours"),
    lambda root: root.write("a/linked/new/ours", b"ours"),
    lambda root: root.create("a/linked/ours", b"ours"),
    lambda root: root.copy("a/linked/theirs", "a/copy"),
    lambda root: root.copy("a/ours", "a/linked/copy"),
    lambda root: root.move("a/linked/theirs", "a/moved"),
    lambda root: root.move("a/ours", "a/linked/moved"),
    lambda root: root.remove("a/linked/theirs"),
    lambda root: root.list("a/linked"),
    lambda root: root.survey("a/linked"),
    lambda root: root.path("a/linked/theirs"),
    lambda root: root.path("a/linked/new"),
]


@pytest.mark.parametrize("number", range(len(DEEDS)))
def test_no_deed_goes_through_a_link_below_the_root(root, number):
    root.write("a/ours", b"ours")
    elsewhere = link(root, "a/linked")
    with pytest.raises(ForeignEntry, match="a/linked is a link where a") as fault:
        DEEDS[number](root)
    assert fault.value.fault_class is FaultClass.MISTAKE
    assert {file.name: file.read_text() for file in elsewhere.iterdir()} == {"theirs": "theirs"}
    assert root.read("a/ours") == b"ours"


def test_a_link_has_no_size_and_is_listed_without_a_look_behind_it(root):
    root.write("a/ours", b"ours")
    link(root, "a/linked")
    assert root.size("a/linked/theirs") is None
    (root.path("a") / "nothing").mkdir()
    assert root.survey("a") == Survey(sizes={"ours": 4}, odd=["linked"], empty=["nothing"])
    root.remove("a/nothing")
    assert root.list("a") == ["linked", "ours"]


def test_of_a_link_the_link_goes_and_a_write_takes_its_place(root):
    elsewhere = link(root, "a/linked")
    root.remove("a/linked")
    assert (elsewhere / "theirs").exists()
    link(root, "a/linked")
    root.write("a/linked", b"ours")
    assert root.read("a/linked") == b"ours"
    assert (elsewhere / "theirs").read_text() == "theirs"


def test_a_link_inside_a_folder_that_goes_is_not_followed(root):
    root.write("a/b/ours", b"ours")
    elsewhere = link(root, "a/b/linked")
    root.remove("a")
    assert not root.exists("a")
    assert (elsewhere / "theirs").exists()


@pytest.mark.parametrize(
    ("make", "what"),
    [(os.mkdir, "folder"), (os.mkfifo, "pipe"), (lambda place: os.symlink("x", place), "link")],
)
def test_what_is_no_file_is_not_read_and_nobody_waits_for_it(root, make, what):
    root.write("records/other", b"")
    make(root.path("records") / "record.json")
    with pytest.raises(ForeignEntry, match=f"records/record.json is a {what}"):
        root.read("records/record.json")
    assert root.size("records/record.json") is None


def test_a_file_where_a_folder_of_ours_belongs_holds_nothing_and_is_not_written_through(root):
    root.write("studies", b"notes")
    assert root.list("studies") == []
    assert root.size("studies/one/index.json") is None
    with pytest.raises(FileNotFoundError):
        root.read("studies/one/index.json")
    with pytest.raises(ForeignEntry, match="studies is a file where a folder"):
        root.write("studies/one/index.json", b"{}")


CLASSES = {
    errno.EIO: FaultClass.STORAGE_AWAY,
    errno.ESTALE: FaultClass.STORAGE_AWAY,
    errno.ETIMEDOUT: FaultClass.STORAGE_AWAY,
    errno.EMFILE: FaultClass.STORAGE_AWAY,
    errno.EROFS: FaultClass.STORAGE_READ_ONLY,
    errno.ENOSPC: FaultClass.STORAGE_FULL,
    errno.EDQUOT: FaultClass.STORAGE_FULL,
    errno.EACCES: FaultClass.PERMISSION,
    errno.ENAMETOOLONG: FaultClass.MISTAKE,
    errno.ENOTSUP: FaultClass.MISTAKE,
    errno.ENOTEMPTY: FaultClass.UNKNOWN,
}
WAYS = {
    "read": lambda root: root.read("a/b"),
    "pieces": lambda root: list(root.pieces("a/b")),
    "list": lambda root: root.list("a"),
    "survey": lambda root: root.survey("a"),
    "size": lambda root: root.size("a/b"),
    "exists": lambda root: root.exists("a/b"),
    "write": lambda root: root.write("a/b", b""),
    "create": lambda root: root.create("a/b", b""),
    "copy": lambda root: root.copy("a/b", "a/c"),
    "remove": lambda root: root.remove("a/b"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", CLASSES)
def test_every_error_of_the_disk_is_one_sentence_that_says_whose_fault_it_is(
    root, monkeypatch, way, number
):
    root.write("a/b", b"")

    def refuse(*args, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SurroundingsError) as fault:
        WAYS[way](root)
    assert fault.value.fault_class is CLASSES[number]
    assert "\n" not in fault.value.error and os.strerror(number) in fault.value.error


@pytest.mark.parametrize("name", ["a\0b", "a/\ud83d", "x/" + "\0"])
def test_a_name_that_no_file_can_have_is_refused(root, name):
    for deed in (root.read, root.size, root.list, root.exists, root.remove, root.path):
        with pytest.raises(UserError, match="cannot be the name of a file"):
            deed(name)


def test_a_name_or_a_root_that_is_too_long_is_one_sentence(root, tmp_path):
    for deed in (lambda name: root.write(name, b""), root.read, root.size):
        with pytest.raises(SurroundingsError, match="File name too long"):
            deed("studies/" + "n" * 300)
    with pytest.raises(UserError, match="File name too long"):
        Storage(tmp_path / ("r" * 300)).list("studies")
    longest = "n" * 255
    root.write(longest, b"as long as a name may be")
    assert root.create(longest, b"") is False


@pytest.mark.parametrize("path", ["ro\0ot", "~nobody-of-this-name/root", "ro\ud83dot"])
def test_a_root_that_is_no_path_is_the_users_mistake(path):
    with pytest.raises(UserError, match="cannot be a path"):
        Storage(path)


def test_names_that_only_look_like_unfinished_writes_are_listed(root):
    root.write("studies/x.tmp-1/index.json", b"")
    root.write("studies/x.tmp-0123abcd/index.json", b"")
    (root.path("studies") / "y.tmp-0123abcd").write_text("left by a kill")
    (root.path("studies") / ".tmp-0123456789abcdef").write_text("left by a kill")
    (root.path("studies") / ".nfs000000000123abcd00000001").write_text("deleted while open")
    assert root.list("studies") == ["x.tmp-0123abcd", "x.tmp-1"]
    assert set(root.sizes("studies")) == {"x.tmp-1/index.json", "x.tmp-0123abcd/index.json"}
    unfinished = root.survey("studies").unfinished
    assert sorted(unfinished) == [
        ".nfs000000000123abcd00000001",
        ".tmp-0123456789abcdef",
        "y.tmp-0123abcd",
    ]
    assert {each.bytes for each in unfinished.values()} == {14, 18}


def without_links(monkeypatch, number):
    def refuse(*args, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)


@pytest.fixture(params=["links", "renames", "neither"])
def file_system(request, monkeypatch):
    """What a file system has to give a name exclusively."""
    if request.param != "links":
        without_links(monkeypatch, errno.EPERM)
    if request.param == "neither":
        monkeypatch.setattr(cluster.disk.exclusive_name, "_renameat2", lambda: None)
    return request.param


def test_of_many_writers_one_gets_the_name_and_its_bytes_stay(root, file_system):
    for round_number in range(20):
        name = f"artifacts/{round_number}/record.json"
        start = threading.Barrier(8)
        won = []

        def publish(number, name=name, start=start, won=won):
            data = json.dumps({"attempt": number} | {"x": "y" * 5000}).encode()
            start.wait()
            if root.create(name, data):
                won.append(data)

        writers = [threading.Thread(target=publish, args=(n,)) for n in range(8)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert won == [root.read(name)]
        assert os.listdir(root.path(f"artifacts/{round_number}")) == ["record.json"]


@pytest.mark.parametrize(
    "number", [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS]
)
def test_every_way_of_having_no_links_is_known(root, monkeypatch, number):
    without_links(monkeypatch, number)
    assert root.create("a/b", b"first")
    assert not root.create("a/b", b"second")
    assert root.read("a/b") == b"first"
    root.copy("a/b", "a/c")
    assert root.read("a/c") == b"first"
    root.require_writable()


def test_a_link_whose_answer_was_lost_is_ours(root, monkeypatch):
    link_for_real = os.link

    def link_and_say_it_exists(*args, **options):
        link_for_real(*args, **options)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", link_and_say_it_exists)
    assert root.create("a/b", b"ours")
    assert root.read("a/b") == b"ours"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_sync_folders_is_good_enough(root, monkeypatch, number):
    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    root.write("a/b/c", b"ours")
    assert root.create("a/b/d", b"ours")
    assert root.read("a/b/c") == b"ours"


def test_a_disk_that_loses_what_is_synced_is_not(root, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(SurroundingsError, match="cannot write a/b"):
        root.write("a/b", b"ours")
    monkeypatch.undo()
    assert root.list("a") == []
    assert os.listdir(root.path("a")) == []


@pytest.mark.parametrize(
    ("number", "fault_class", "way_on"),
    [
        (errno.ENOSPC, FaultClass.STORAGE_FULL, "free the disk"),
        (errno.EROFS, FaultClass.STORAGE_READ_ONLY, "mount it for writing"),
        (errno.EIO, FaultClass.STORAGE_AWAY, "look after the disk"),
        (errno.EACCES, FaultClass.PERMISSION, "the right to write there"),
    ],
)
def test_a_root_that_takes_no_write_is_told_with_what_a_disk_answers(
    root, monkeypatch, number, fault_class, way_on
):
    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError, match="the output root cannot be written") as fault:
        root.require_writable()
    assert fault.value.fault_class is fault_class
    assert fault.value.code == "root-read-only" and way_on in fault.value.hint


def test_a_root_where_create_overwrites_is_refused_before_anything_runs(root, monkeypatch):
    monkeypatch.setattr("cluster.disk.local_disk.give_name", lambda *args: True)
    with pytest.raises(UserError, match="gives one name to two files"):
        root.require_writable()


def test_new_folders_are_synced_in_the_folders_that_hold_them(root, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    root.write("a/b/c", b"ours")
    folders = [os.stat(root.url), *(os.stat(root.path(name)) for name in ("a", "a/b"))]
    assert {folder.st_ino for folder in folders} <= set(synced)


def test_names_of_many_files_are_synced_at_once_up_to_the_root(root, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    for name in ("a/b/1/file", "a/b/2/file"):
        assert root.create(name, b"ours", syncs_names=False)
    assert synced == [root.path(f"a/b/{number}/file").stat().st_ino for number in (1, 2)]
    synced.clear()
    root.sync_names("a/b")
    folders = [root.path("a/b"), root.path("a"), os.path.realpath(root.url)]
    assert synced == [os.stat(folder).st_ino for folder in folders]
    assert not root.create("a/b/1/file", b"theirs", syncs_names=False)


def test_what_moves_keeps_its_bytes_on_every_storage(tmp_path):
    for root in (Storage(tmp_path / "disk"), Storage(f"memory://{tmp_path.name}-moves")):
        root.write("a/b/c", b"one")
        root.write("a/b/d/e", b"two")
        root.move("a/b", "lost/b")
        assert root.sizes("lost") == {"b/c": 3, "b/d/e": 3}
        root.move("lost/b/c", "c")
        assert root.read("c") == b"one"
        assert root.sizes("a") == {}
