"""A root on an object storage: what a race, a cut, a kill and an ill server leave behind."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import fsspec
import pytest

from cluster.errors import SurroundingsError, UserError
from cluster.object_store.remote_options import PART_BYTES
from cluster.storage import Storage

SECRETS = ("AKIANOTTOBEWRITTEN00", "secretNotToBeWritten")
UPLOADS = """
import sys
from pathlib import Path
from cluster.storage import Storage
Storage(sys.argv[1]).upload(Path(sys.argv[2]), "model")
"""
WRITES = """
import sys
from cluster.storage import Storage
Storage(sys.argv[1]).write("folder/new", b"new")
Storage(sys.argv[1]).remove("folder/old")
"""


@pytest.fixture
def root(bucket):
    return Storage(f"{bucket}/root")


@pytest.fixture
def two_parts(tmp_path):
    """A file that goes up as a multipart upload."""
    path = tmp_path / "model"
    path.write_bytes(os.urandom(1 << 20) * (2 * PART_BYTES // (1 << 20) + 1))
    return path


def is_put(request):
    return request.command == "PUT" and "/root/" in request.path


def leftovers(bucket):
    return fsspec.filesystem("s3").list_multipart_uploads(bucket.removeprefix("s3://"))


def test_what_stands_is_not_written_over(root):
    assert root.create("record.json", b"first")
    assert not root.create("record.json", b"second")
    assert root.read("record.json") == b"first"


def test_names_are_files_and_folders_like_those_of_a_disk(root):
    root.write("a/b/c", b"12")
    root.write("a/d[1]*", b"3")
    assert root.list("a") == ["b", "d[1]*"]
    assert root.list("a/b/c") == root.list("nowhere") == []
    assert list(root.walk("a")) == ["a/b/c", "a/d[1]*"]
    assert root.sizes("a") == {"b/c": 2, "d[1]*": 1}
    assert (root.size("a/b/c"), root.size("a/b"), root.size("a/x")) == (2, None, None)
    assert root.exists("a/b") and not root.exists("a/bc")
    root.copy("a/b/c", "e")
    assert root.read("e") == b"12"
    root.remove("a")
    root.remove("a")
    assert root.list("a") == [] and not root.exists("a")


def test_of_two_attempts_at_one_moment_one_commits(root, proxy):
    together = threading.Barrier(2, timeout=60)

    def at_once(request):
        together.wait()
        answer = request.passed_on()
        together.wait()
        request.give(answer)

    require_one_winner(root, proxy, at_once)


def test_where_the_store_lets_both_pass_the_loser_reads_that_it_lost(root, proxy):
    """A store that checks, and writes later: both writes are told that they came through."""
    together = threading.Barrier(2, timeout=60)

    def unconditionally(request):
        del request.headers["If-None-Match"]
        answer = request.passed_on()
        together.wait()
        request.give(answer)

    require_one_winner(root, proxy, unconditionally)


def require_one_winner(root, proxy, instead):
    """Let two create one record, each request answered by `instead`."""
    proxy.passing(is_put, instead, times=2)
    records = [b"of one", b"of the other"]
    with ThreadPoolExecutor(2) as both:
        won = list(both.map(lambda data: root_of(root).create("record.json", data), records))
    assert sorted(won) == [False, True]
    assert root.read("record.json") == records[won.index(True)]


def root_of(root):
    """The same root as the proxy's clients see it."""
    return Storage(root.url)


def test_a_create_whose_answer_was_lost_is_known_as_ours(root, proxy):
    def lose(request):
        request.passed_on()
        request.hang_up()

    proxy.passing(is_put, lose, times=1)
    assert root_of(root).create("record.json", b"mine")
    assert len([line for line in proxy.seen if line.startswith("PUT")]) == 2


def test_a_conflict_of_two_conditional_writes_is_tried_again(root, proxy):
    proxy.passing(
        is_put, lambda request: request.refuse(409, "ConditionalRequestConflict"), times=2
    )
    assert root_of(root).create("record.json", b"mine")


def test_a_store_that_keeps_creates_is_taken_and_left_clean(root):
    root.require_writable()
    assert not fsspec.filesystem("s3").find(root.url)


@pytest.mark.parametrize(
    ("instead", "reason"),
    [("ignore", "overwrote"), ("refuse", "answers NotImplemented")],
)
def test_a_store_that_keeps_no_creates_is_refused_by_name(root, proxy, instead, reason):
    def ignore(request):
        del request.headers["If-None-Match"]
        request.give(request.passed_on())

    does = {"ignore": ignore, "refuse": lambda request: request.refuse(501, "NotImplemented")}
    proxy.passing(lambda request: "If-None-Match" in request.headers, does[instead])
    with pytest.raises(UserError, match=reason) as fault:
        root_of(root).require_writable()
    assert "If-None-Match" in fault.value.error
    assert not fsspec.filesystem("s3").find(root.url)


def test_an_upload_cut_in_the_middle_is_made_again_and_is_whole(root, proxy, two_parts):
    proxy.passing(is_put, lambda request: request.cut_upload(), times=2)
    root_of(root).upload(two_parts, "model")
    assert b"".join(root.pieces("model")) == two_parts.read_bytes()


@pytest.mark.parametrize("size", [1000, 2 * PART_BYTES + 1])
def test_an_upload_that_is_cut_for_good_leaves_nothing(
    root, bucket, proxy, tmp_path, monkeypatch, size
):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    (tmp_path / "file").write_bytes(bytes(size))
    proxy.passing(is_put, lambda request: request.cut_upload())
    with pytest.raises(SurroundingsError, match="cannot upload file: "):
        root_of(root).upload(tmp_path / "file", "file")
    assert not root.exists("file")
    assert leftovers(bucket) == []


def test_an_upload_killed_in_the_middle_leaves_nothing_under_the_name(root, proxy, two_parts):
    reached, over = threading.Event(), threading.Event()

    def hold(request):
        reached.set()
        over.wait(60)
        request.hang_up()

    proxy.passing(lambda request: "partNumber=2" in request.path, hold)
    process = subprocess.Popen([sys.executable, "-c", UPLOADS, root.url, str(two_parts)])
    assert reached.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    over.set()
    assert not root.exists("model")
    assert root.size("model") is None


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable")]
)
def test_what_passes_by_itself_is_waited_for(root, proxy, status, code):
    proxy.passing(lambda request: True, lambda request: request.refuse(status, code), times=2)
    remote = root_of(root)
    remote.write("name", b"data")
    proxy.passing(lambda request: True, lambda request: request.refuse(status, code), times=2)
    assert remote.read("name") == b"data"


def test_a_read_that_breaks_off_is_made_again(root, proxy, two_parts, tmp_path):
    root.upload(two_parts, "model")

    def half(request):
        status, headers, body = request.passed_on()
        request.send_response_only(status)
        for name, value in headers:
            if name.lower() != "connection":
                request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])
        request.hang_up()

    proxy.passing(lambda request: request.command == "GET", half, times=1)
    root_of(root).download("model", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == two_parts.read_bytes()


def faults(root):
    """What a launch's check and an ordinary read answer, as a user reads it."""
    said = []
    for act in (root.require_writable, lambda: root.read("name"), lambda: root.list("folder")):
        with pytest.raises(SurroundingsError) as fault:
            act()
        assert "\n" not in fault.value.error
        assert fault.value.where == root.url
        assert not any(secret in str(fault.value) for secret in SECRETS)
        said.append(str(fault.value))
    return said


def test_a_lasting_fault_ends_in_one_line(root, proxy, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    proxy.passing(lambda request: True, lambda request: request.refuse(503, "SlowDown"))
    assert all("keeps answering SlowDown" in said for said in faults(root_of(root)))


def test_a_bucket_that_is_not_there_is_named(s3):
    assert all("there is no such bucket" in said for said in faults(Storage("s3://nowhere-at-all")))


def test_denied_access_is_told_as_such(root, proxy):
    proxy.passing(lambda request: True, lambda request: request.refuse(403, "AccessDenied"))
    assert all("access was denied (AccessDenied)" in said for said in faults(root_of(root)))


def test_missing_credentials_are_told_as_such(root, s3, object_storage, monkeypatch):
    s3(object_storage)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert all("no credentials" in said for said in faults(root_of(root)))


def test_a_network_that_is_not_there_is_told_as_such(root, s3, monkeypatch):
    s3("http://user:secretNotToBeWritten@127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert all("does not answer" in said for said in faults(root_of(root)))


def test_what_another_process_did_is_seen_at_once(root):
    root.write("folder/old", b"old")
    assert root.list("folder") == ["old"]
    assert root.sizes("folder") == {"old": 3}
    assert not root.exists("folder/new") and root.size("folder/new") is None
    subprocess.run([sys.executable, "-c", WRITES, root.url], check=True)
    assert root.list("folder") == ["new"]
    assert root.sizes("folder") == {"new": 3}
    assert root.exists("folder/new") and root.size("folder/new") == 3
    assert not root.exists("folder/old") and root.size("folder/old") is None


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("s3://key:pass@bucket/root", "holds credentials"),
        ("s3://key:pa/ss@bucket/root", "holds credentials"),
        ("s3://token@bucket/root", "holds credentials"),
        ("s3://bucket/root?secret=pass", "holds options"),
        ("filecache::s3://bucket", "one URL inside another"),
        ("s3://", "names no bucket"),
        ("nosuch://bucket", "cannot open storage"),
        ("zip://bucket", "no storage of its own"),
        ("dir://bucket", "no storage of its own"),
        ("data://bucket", "no storage of its own"),
        ("http://host/folder", "no storage of its own"),
    ],
)
def test_a_url_that_cannot_be_a_root_is_refused_without_its_secrets(url, what):
    with pytest.raises(UserError, match=what) as fault:
        Storage(url)
    assert "pa/ss" not in str(fault.value)
    assert "pass" not in str(fault.value)
    assert "token" not in str(fault.value)
