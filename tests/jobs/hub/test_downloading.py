"""Files come into a root whole and checked, whatever the hub and the way to it do."""

import random
import threading

import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.storage import Storage
from jobs.hub import downloading
from jobs.hub.repository import Repository
from jobs.hub.shelf import Shelf
from tests.hub_server.server import TOKEN, HostedRepository

MODEL = Repository(type="model", name="org/tiny")
LARGE = random.Random(5).randbytes(40_000)


@pytest.fixture
def hosted(hub):
    files = {"config.json": b"{}", "model.safetensors": LARGE, "README.md": b"read me"}
    hub.repositories["model", "org/tiny"] = HostedRepository(files | {"a/b.bin": b"no", "z": b""})
    return hub.repositories["model", "org/tiny"]


@pytest.fixture
def root(tmp_path):
    return Storage(tmp_path / "root")


def fetched(root, names=("config.json", "model.safetensors"), report=lambda line: None):
    commit = downloading.commit_now(MODEL, None)
    shelf = Shelf(root, MODEL, commit)
    listing = downloading.listing_of(MODEL, commit)
    num_bytes = downloading.fetch(shelf, listing, list(names), report)
    return Shelf(root, MODEL, commit), num_bytes


def bytes_sent(hub, name):
    return [sum(each.sent) for each in hub.asks(f"/content/model/org/tiny/{name}")]


def test_files_come_once_and_are_those_of_the_hub(hub, hosted, root):
    shelf, num_bytes = fetched(root)
    assert num_bytes == len(LARGE) + 2
    assert shelf.find(lambda names: ["config.json"]) == ["config.json"]
    folder = shelf.place(["config.json", "model.safetensors"])
    assert (folder / "model.safetensors").read_bytes() == LARGE
    assert shelf.contents.listing == sorted(hosted.files)
    assert shelf.find(lambda names: list(names)) is None  # not all were taken
    assert fetched(root)[1] == 0
    assert hub.counts() == {"config.json": 1, "model.safetensors": 1}


@pytest.mark.parametrize("cut", [0, 5_000])
def test_a_broken_line_is_gone_on_with_where_it_broke(hub, hosted, root, cut):
    hub.fail("/content/model/org/tiny/model.safetensors", cut_after=cut)
    shelf, _ = fetched(root)
    assert shelf.place(["model.safetensors"])
    first, second = hub.asks("model.safetensors")[-2:]
    assert second.start == cut // 1024 * 1024 or second.start == cut
    assert bytes_sent(hub, "model.safetensors") == [cut, len(LARGE) - second.start]


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {"Retry-After": "0"}), (503, {}), (500, {})],
)
def test_what_passes_by_itself_is_tried_again(hub, hosted, root, status, headers, monkeypatch):
    monkeypatch.setattr(downloading, "_LONGEST_WAIT_S", 0.01)
    hub.fail("/content/", status, headers=headers)
    shelf, _ = fetched(root)
    assert shelf.place(["config.json", "model.safetensors"])


def test_a_hub_that_stays_broken_is_one_message_and_leaves_nothing_that_looks_whole(
    hub, hosted, root, monkeypatch
):
    monkeypatch.setattr(downloading, "_LONGEST_WAIT_S", 0.01)
    hub.fail("/content/model/org/tiny/model.safetensors", cut_after=20_480)
    hub.fail("/content/model/org/tiny/model.safetensors", 500, times=99)
    with pytest.raises(SurroundingsError, match="cannot be reached") as caught:
        fetched(root)
    assert "goes on where this one ended" in caught.value.hint
    shelf = Shelf(root, MODEL, hosted.commit)
    assert shelf.contents is None and shelf.find(lambda names: ["config.json"]) is None
    hub.faults.clear()
    hub.storage.faults.clear()
    fetched(root)
    assert hub.asks("/content/model/org/tiny/model.safetensors")[-1].start == 20_480


def test_wrong_bytes_are_taken_for_none(hub, hosted, root):
    hosted.sent["model.safetensors"] = bytes(len(LARGE))
    with pytest.raises(SurroundingsError, match="is not what it lists: its SHA-256") as caught:
        fetched(root)
    assert "proxy or a mirror" in caught.value.hint
    assert Shelf(root, MODEL, hosted.commit).contents is None
    assert not list(root.walk(f"{MODEL.folder}/{hosted.commit}/parts"))
    hosted.sent.clear()
    assert fetched(root)[0].place(["model.safetensors"])


def test_a_partial_file_with_a_wrong_byte_is_fetched_from_the_start(hub, hosted, root):
    shelf = Shelf(root, MODEL, hosted.commit)
    part = downloading._part_of(
        shelf, downloading.listing_of(MODEL, hosted.commit)["model.safetensors"]
    )
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(10_000))
    shelf, _ = fetched(root)
    assert shelf.place(["model.safetensors"])
    assert [each.start for each in hub.asks("/content/model/org/tiny/model.")] == [10_000, 0]


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_small_files_are_checked_by_gits_hash_and_large_ones_by_sha256(hub, hosted, root, name):
    content = bytearray(hosted.files[name])
    content[0] ^= 1
    hosted.sent[name] = bytes(content)
    with pytest.raises(SurroundingsError, match=f"what the hub sends as {name}"):
        fetched(root)


def test_a_file_of_another_size_is_no_file_of_the_hub(hub, hosted, root, monkeypatch):
    monkeypatch.setattr(downloading, "_LONGEST_WAIT_S", 0.01)
    monkeypatch.setattr(downloading, "_TRIES", 2)
    for wrong in (LARGE[:-1], LARGE + b"x"):
        hosted.sent["model.safetensors"] = wrong
        with pytest.raises(SurroundingsError):
            fetched(root)
        assert Shelf(root, MODEL, hosted.commit).contents is None


def test_who_may_not_read_is_told_before_anything_comes(hub, hosted, root, monkeypatch):
    hosted.gated = True
    shelf = Shelf(root, MODEL, hosted.commit)
    with pytest.raises(UserError, match="is gated") as caught:
        downloading.require_access(shelf, "config.json")
    assert "accept its terms" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_of_another")
    with pytest.raises(UserError, match="is gated"):
        downloading.require_access(shelf, "config.json")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    downloading.require_access(shelf, "config.json")
    fetched(root)
    assert not any(each.authorization for each in hub.storage.asked), "storage is not the hub"
    assert not [name for name in root.walk("hub") if TOKEN.encode() in root.read(name)]


def test_what_is_not_there_or_private_or_another_revision_is_named(hub, hosted):
    for name in ("org/none", "org/tiny"):
        with pytest.raises(UserError, match="does not exist on the hub, or is private"):
            downloading.commit_now(Repository(type="model", name=name), None)
        hosted.private = True
    hosted.private = False
    with pytest.raises(UserError, match="has no revision 'v9'"):
        downloading.commit_now(MODEL, "v9")


def test_two_at_once_on_one_root_fetch_once(hub, hosted, root, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "_LOOK_EVERY_S", 0.05)
    reached, go, waits = threading.Event(), threading.Event(), threading.Event()
    hub.fail("/content/model/org/tiny/model.", at=10_240, piece=1024, reached=reached, go=go)
    told, results = [], []

    def second(line):
        told.append(line)
        waits.set()

    one = threading.Thread(target=lambda: results.append(fetched(root)[1]))
    one.start()
    assert reached.wait(60)
    other_root = Storage(tmp_path / "root")
    two = threading.Thread(target=lambda: results.append(fetched(other_root, report=second)[1]))
    two.start()
    assert waits.wait(60)
    go.set()
    one.join(60)
    two.join(60)
    assert sorted(results) == [0, len(LARGE) + 2]
    assert "waiting for process" in told[0]
    assert hub.counts() == {"config.json": 1, "model.safetensors": 1}


def test_a_full_disk_is_one_message_and_what_came_is_kept(hub, hosted, root, monkeypatch):
    import errno
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_480, hard))  # a file grows no further: EFBIG
    try:
        with pytest.raises(SurroundingsError, match="cannot write model.safetensors") as caught:
            fetched(root)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.__cause__.errno == errno.EFBIG
    assert Shelf(root, MODEL, hosted.commit).contents is None
    fetched(root)
    assert [each.start for each in hub.asks("/content/model/org/tiny/model.")] == [0, 20_480]


def test_a_file_that_does_not_fit_is_not_begun(hub, hosted, root, monkeypatch):
    usage = downloading.shutil.disk_usage(root.url if root.exists("x") else "/tmp")
    monkeypatch.setattr(
        downloading.shutil, "disk_usage", lambda folder: usage._replace(free=39_000)
    )
    with pytest.raises(SurroundingsError, match="do not fit"):
        fetched(root)
    assert not hub.asks("/content/model/org/tiny/model.")


def test_a_damaged_file_is_told_and_only_it_is_fetched_again(hub, hosted, root):
    shelf, _ = fetched(root)
    path = root.path(shelf.name_of("model.safetensors"))
    path.write_bytes(LARGE[:-1] + bytes([LARGE[-1] ^ 1]))
    with pytest.raises(SurroundingsError, match="damaged or gone") as caught:
        shelf.place(["model.safetensors"])
    assert "verify STUDY --repair" in caught.value.hint
    path.unlink()
    assert shelf.find(lambda names: ["model.safetensors"]) is None
    assert fetched(root)[1] == len(LARGE)
    assert hub.counts() == {"config.json": 1, "model.safetensors": 2}


def test_names_of_the_hub_never_leave_the_root(hub, hosted, root):
    hosted.files["../../../../evil"] = b"x"
    with pytest.raises(UserError, match="would leave the output root"):
        fetched(root, ["../../../../evil"])


def test_a_remote_root_is_filled_file_by_file_and_read_through_copies(
    hub, hosted, bucket, monkeypatch, tmp_path
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(downloading, "_LONGEST_WAIT_S", 0.01)
    root = Storage(f"{bucket}/root")
    hub.fail("/content/model/org/tiny/model.safetensors", cut_after=20_480)
    hub.fail("/content/model/org/tiny/model.safetensors", 500, times=99)
    with pytest.raises(SurroundingsError, match="cannot be reached"):
        fetched(root)
    assert Shelf(root, MODEL, hosted.commit).contents is None
    hub.faults.clear()
    hub.storage.faults.clear()
    shelf, _ = fetched(root)
    assert hub.asks("/content/model/org/tiny/model.safetensors")[-1].start == 20_480
    assert fetched(root)[1] == 0
    folder = shelf.place(["config.json", "model.safetensors"])
    assert folder.is_relative_to(tmp_path) and (folder / "model.safetensors").read_bytes() == LARGE
    assert not [path for path in tmp_path.glob("*/parts/**/*") if path.is_file()]
    assert not list(shelf.damaged())
    root.write(shelf.name_of("model.safetensors"), LARGE[::-1])
    assert [name for name, _ in shelf.damaged()] == [shelf.name_of("model.safetensors")]
    root.remove(shelf.name_of("config.json"))
    assert shelf.find(lambda names: ["config.json"]) is None
