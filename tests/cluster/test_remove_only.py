"""`Storage.remove_only`: what is written in the moment of a deletion stays."""

import os

import pytest

from cluster.storage import Storage


@pytest.fixture(params=["local", "memory", "s3"])
def root(request, tmp_path):
    if request.param == "s3":
        return Storage(f"{request.getfixturevalue('bucket')}/root")
    return Storage(tmp_path if request.param == "local" else f"memory://{tmp_path.name}")


def test_a_file_is_deleted_only_while_it_holds_these_bytes(root):
    root.write("folder/record", b"old")
    assert not root.remove_only("folder/record", b"other")
    assert not root.remove_only("folder/nothing", b"old")
    assert not root.remove_only("nowhere/record", b"old")
    assert root.read("folder/record") == b"old"
    assert root.remove_only("folder/record", b"old")
    assert root.list("folder") == []


def test_on_a_disk_what_was_renamed_into_its_place_is_put_back(tmp_path, monkeypatch):
    root, rename = Storage(tmp_path), os.rename
    root.write("folder/record", b"old")

    def publish_first(source, target, **folders):
        if source == "record":
            root.write("folder/record", b"new")
        rename(source, target, **folders)

    monkeypatch.setattr(os, "rename", publish_first)
    assert not root.remove_only("folder/record", b"old")
    assert root.read("folder/record") == b"new"
    assert os.listdir(tmp_path / "folder") == ["record"]


def test_on_a_disk_what_was_published_in_the_gap_stays(tmp_path, monkeypatch):
    root, rename = Storage(tmp_path), os.rename
    root.write("folder/record", b"old")

    def publish_twice(source, target, **folders):
        root.write("folder/record", b"new")
        rename(source, target, **folders)
        if source == "record":
            assert root.create("folder/record", b"newest")

    monkeypatch.setattr(os, "rename", publish_twice)
    assert not root.remove_only("folder/record", b"old")
    assert root.read("folder/record") == b"newest"
    assert os.listdir(tmp_path / "folder") == ["record"]


def is_deletion(request):
    return request.command == "DELETE"


def test_on_object_storage_the_storage_itself_compares(bucket, proxy):
    root = Storage(f"{bucket}/root")
    root.write("record", b"old")
    tags = []

    def note(request):
        tags.append(request.headers["If-Match"])
        request.give(request.passed_on())

    proxy.passing(is_deletion, note, times=1)
    assert root.remove_only("record", b"old")
    assert tags == ['"149603e6c03516362a8da23f624db945"']


@pytest.mark.parametrize(
    ("status", "code", "is_deleted"),
    [(412, "PreconditionFailed", False), (501, "NotImplemented", True)],
)
def test_a_record_that_came_between_stays_and_a_store_that_cannot_compare_deletes(
    bucket, proxy, status, code, is_deleted
):
    root = Storage(f"{bucket}/root")
    root.write("record", b"old")
    proxy.passing(is_deletion, lambda request: request.refuse(status, code), times=1)
    assert root.remove_only("record", b"old") is is_deleted
    assert (root.size("record") is None) is is_deleted
